"""The pipeline's configuration and its DAG."""
