"""What a version of a served model is. Nothing here imports TensorFlow."""
