"""What Transform makes of a record: the names of its features."""

PIXELS = "pixels"  # float32 [height, width, 3]: decoded, resized, normalised
CLASS_INDEX = "class_index"  # int64: label - LABEL_BASE
PIXEL_MEAN = "pixel_mean"  # float32 [3]: of the training split, 0..255 scale
PIXEL_STDDEV = "pixel_stddev"  # float32 [3]: likewise
