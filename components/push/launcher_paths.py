"""Where Kubeflow's launcher keeps in a pod what lies in an object store.

It downloads a task's inputs to these folders and uploads the outputs from them
(kubeflow/pipelines, backend/src/v2/component/launcher_v2.go, `localPathForURI`).
"""

FOLDERS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}  # by scheme


def to_local(uri: str) -> str:
    """The path in the pod of what is at `uri`; anything but such a URI as it is."""
    for scheme, folder in FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def to_remote(path: str) -> str:
    """The URI of what is at `path` in the pod; anything but such a path as it is."""
    for scheme, folder in FOLDERS.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path
