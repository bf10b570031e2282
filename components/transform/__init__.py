"""Transform: the image graph, which training, evaluation and serving share."""
