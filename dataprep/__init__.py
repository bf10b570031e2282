"""Turns images into a data set's folder: `python -m dataprep digits --output DIR`."""
