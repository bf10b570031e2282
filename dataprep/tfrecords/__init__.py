"""`python -m dataprep tfrecords`: other tools' TFRecord files, made into this project's format."""
