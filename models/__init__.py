"""FishNet in plain Keras 3: nothing of TensorFlow, nothing of TFX."""
