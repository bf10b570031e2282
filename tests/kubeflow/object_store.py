"""Doubles of the object stores: an S3 server in this process, and a folder for gs://."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
REGION = "us-east-1"

# Where the launcher puts a bucket's files in the pod (launcher_v2.go, LocalPathForURI).
LOCAL_ROOTS = {"minio": "/minio", "s3": "/s3", "gs": "/gcs"}


def local_path(uri: str) -> str:
    """Returns the path in the pod for an object's URI.

    Raises:
        ValueError: If the launcher knows no such scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme not in LOCAL_ROOTS:
        raise ValueError(f"failed to generate local path for URI {uri}: unsupported storage scheme")
    return f"{LOCAL_ROOTS[parts.scheme]}/{parts.netloc}{parts.path}"


class _Gate:
    """WSGI middleware that refuses writes.

    Those below some prefixes, with AccessDenied; and what only Amazon's own S3 is sure to take:
    botocore's checksums, and DeleteObjects without MD5, which the MinIO of Kubeflow Pipelines up to
    2.14 refuses.
    """

    def __init__(self, application):
        self._application = application
        self.refused: list[str] = []

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"].lstrip("/")
        writes = environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE")
        if writes and any(path.startswith(prefix) for prefix in self.refused):
            denied = "Access Denied by the bucket's policy"
            return self._refuse(start_response, "403 Forbidden", "AccessDenied", denied)
        if environ["QUERY_STRING"] == "delete" and "HTTP_CONTENT_MD5" not in environ:
            missing = "Missing required header for this request: Content-Md5."
            return self._refuse(start_response, "400 Bad Request", "MissingContentMD5", missing)
        if writes and "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM" in environ:
            unknown = "A header you provided implies functionality that is not implemented"
            return self._refuse(start_response, "501 Not Implemented", "NotImplemented", unknown)
        return self._application(environ, start_response)

    def _refuse(self, start_response, status, code, message):
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"
        ).encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]


def _request_handler() -> type:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class QuietHandler(MotoRequestHandler):
        def log_request(self, *_: object) -> None:
            pass

    return QuietHandler


class ObjectStore:
    """Object stores of one cluster: minio:// and s3:// share a server, gs:// is a folder.

    Use it as a context manager, or call `close`.

    Attributes:
        endpoint: The S3 server's URL, for anything that speaks S3.
        gs_folder: Holds a folder for each gs:// bucket.
    """

    def __init__(self, gs_folder: Path) -> None:
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        self.gs_folder = gs_folder
        self._gate = _Gate(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(
            "127.0.0.1", 0, self._gate, threaded=True, request_handler=_request_handler()
        )
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        # A short poll interval: `close` waits for it.
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()
        self._s3 = self._client()
        self._buckets: list[str] = []

    def __enter__(self) -> "ObjectStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Deletes the buckets and stops the server."""
        self.allow_writes()
        for bucket in self._buckets:
            self.delete(f"s3://{bucket}")
            self._s3.delete_bucket(Bucket=bucket)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def secret(self) -> dict[str, str]:
        """The credentials, keyed as Kubeflow's own secret mlpipeline-minio-artifact is."""
        return {"accesskey": ACCESS_KEY, "secretkey": SECRET_KEY}

    def create_bucket(self, bucket_uri: str) -> None:
        """Creates a bucket, given as `minio://name`, `s3://name` or `gs://name`.

        Raises:
            ValueError: If it is there: all stores of a process share moto's buckets.
        """
        parts = urlsplit(bucket_uri)
        if parts.scheme == "gs":
            (self.gs_folder / parts.netloc).mkdir(parents=True)
            return
        there = [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]
        if parts.netloc in there:
            raise ValueError(f"bucket {parts.netloc!r} is there already; stores share them")
        self._s3.create_bucket(Bucket=parts.netloc)
        self._buckets.append(parts.netloc)

    def refuse_writes(self, prefix_uri: str) -> None:
        """From now on refuses to write objects whose URI starts so (not for gs://)."""
        parts = urlsplit(prefix_uri)
        self._gate.refused.append(parts.netloc + parts.path)

    def allow_writes(self) -> None:
        """Takes every `refuse_writes` back."""
        self._gate.refused.clear()

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object.

        Raises:
            botocore.exceptions.ClientError: If the store refuses.
        """
        parts = urlsplit(uri)
        if parts.scheme == "gs":
            file = self._gs_file(uri)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        else:
            self._s3.put_object(Bucket=parts.netloc, Key=parts.path[1:], Body=content)

    def read(self, uri: str) -> bytes:
        """Reads an object."""
        parts = urlsplit(uri)
        if parts.scheme == "gs":
            return self._gs_file(uri).read_bytes()
        answer = self._s3.get_object(Bucket=parts.netloc, Key=parts.path[1:])
        return answer["Body"].read()

    def list(self, prefix_uri: str) -> list[str]:
        """Returns the URIs of the objects at or below a path, sorted."""
        prefix_uri = prefix_uri.rstrip("/")
        return sorted(
            uri
            for uri in self._starting_with(prefix_uri)
            if uri == prefix_uri or uri.startswith(prefix_uri + "/")
        )

    def put(self, folder_or_file: Path, uri: str) -> None:
        """Uploads as the launcher does: files only, links to files followed.

        Args:
            folder_or_file: What to upload; missing is an error here.
            uri: Where to.
        """
        if not folder_or_file.is_dir():
            return self._put_file(folder_or_file, uri)
        for entry in sorted(folder_or_file.iterdir()):
            # As the launcher: a link to a folder counts as a file, and cannot be read as one.
            if entry.is_dir() and not entry.is_symlink():
                self.put(entry, f"{uri}/{entry.name}")
            else:
                self._put_file(entry, f"{uri}/{entry.name}")
        return None

    def get(self, uri: str, folder_or_file: Path) -> None:
        """Downloads an object, or all below a prefix, to a path. Nothing there is no error."""
        for found in self.list(uri):
            relative = found[len(uri.rstrip("/")) :].lstrip("/")
            file = folder_or_file / relative if relative else folder_or_file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.read(found))

    def delete(self, prefix_uri: str) -> None:
        """Deletes the objects at or below a path."""
        for uri in self.list(prefix_uri):
            parts = urlsplit(uri)
            if parts.scheme == "gs":
                self._gs_file(uri).unlink()
            else:
                self._s3.delete_object(Bucket=parts.netloc, Key=parts.path[1:])

    def copy_bucket(self, bucket_uri: str, folder: Path) -> Path:
        """Downloads a bucket or prefix into a new folder, to look at with ordinary tools."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.get(bucket_uri, folder)
        return folder

    def _client(self):
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 1},
                request_checksum_calculation="when_required",
            ),
        )

    def _put_file(self, file: Path, uri: str) -> None:
        try:
            self.write(uri, file.read_bytes())
        except Exception as error:
            raise OSError(
                f"uploadFile(): unable to complete copying {str(file)!r} to remote storage "
                f"{uri!r}: {error}"
            ) from error

    def _gs_file(self, uri: str) -> Path:
        parts = urlsplit(uri)
        return self.gs_folder / parts.netloc / parts.path[1:]

    def _starting_with(self, prefix_uri: str) -> Iterator[str]:
        parts = urlsplit(prefix_uri)
        bucket_uri = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme == "gs":
            bucket = self.gs_folder / parts.netloc
            for file in bucket.rglob("*"):
                if file.is_file():
                    yield f"{bucket_uri}/{file.relative_to(bucket)}"
            return
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=parts.netloc, Prefix=parts.path[1:]
        )
        for page in pages:
            for entry in page.get("Contents", []):
                yield f"{bucket_uri}/{entry['Key']}"
