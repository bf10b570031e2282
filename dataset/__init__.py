"""What a data set is: its folder, shards, records and classes. Nothing here imports TensorFlow."""
