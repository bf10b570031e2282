"""Trainer: `run_fn` and its parts, one file for each."""
