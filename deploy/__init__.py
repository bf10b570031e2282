"""What runs in the container: the image's build, and the command that Kubeflow starts."""
