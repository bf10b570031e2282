"""The pipeline as a spec that Kubeflow Pipelines and Vertex AI carry out."""
