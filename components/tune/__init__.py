"""Tuner: the search for the hyperparameters that the Trainer takes, by KerasTuner."""
