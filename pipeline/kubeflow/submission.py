"""Gives a compiled pipeline to Kubeflow Pipelines or to Vertex AI."""

import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3

LONGEST_ANSWER = 500  # characters of a refusal that are shown
ANSWER_SECONDS = 20  # for an answer; what only asks, and changes nothing, is asked four times
GOOGLES_SECONDS = 120.0  # the like for Vertex AI, which copies the file


class SubmissionError(RuntimeError):
    """The cluster could not be reached, or refused; the message says what it said."""


@dataclasses.dataclass(frozen=True)
class NewRun:
    """A run to be started.

    Attributes:
      file: The compiled pipeline.
      root: URI below which the run writes.
      parameters: Of the run; the others have their defaults.
      experiment: Under which it is kept.
      name: The run's; None for one that the cluster makes up.
    """

    file: Path
    root: str
    parameters: dict[str, Any]
    experiment: str
    name: str | None


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    """Turns what the cluster's library raises into one line that names `where`.

    What the library itself writes to stdout is dropped: this process says it.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except SubmissionError:
        raise
    except Exception as error:  # each library has a dozen kinds
        raise SubmissionError(f"{where}: {_one_line(_reason(error))}") from error


def _reason(error: Any) -> str:
    """The words of the server, or of the network."""
    if 300 <= (getattr(error, "status", None) or 0) < 400:
        return _redirection(error)
    if body := getattr(error, "body", None):  # kfp's, of an HTTP answer
        return f"{error.status} {error.reason}: {_message(body)}"
    if isinstance(
        error, urllib3.exceptions.ReadTimeoutError
    ):  # of a request that changes something
        return (
            f"took the request and gave no answer within {ANSWER_SECONDS} s. It may have done what "
            "was asked all the same: look at its pages before you ask again"
        )
    cause = getattr(error, "reason", None)  # urllib3's: what each of its attempts ended with
    if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        return f"gave no answer within {ANSWER_SECONDS} s, each time that it was asked"
    return _reason(cause) if isinstance(cause, Exception) else str(error) or repr(error)


def _redirection(error: Any) -> str:
    """What an answer means that sends the client elsewhere, which the API never does."""
    to = (error.headers.get("Location") or "another page").partition("?")[0]
    return (
        f"{error.status} {error.reason}, on to {to}: by something in front of Kubeflow Pipelines "
        "that wants a log-in, mostly. Give --token-file FILE with a bearer token that it takes; or "
        "go past it: kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80, with --host "
        "http://localhost:8080. If it is the same address with https, give that as --host"
    )


def _message(body: str | bytes) -> str:
    """What an answer says: a field of it if it is JSON."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    with contextlib.suppress(ValueError, AttributeError):
        answer = json.loads(text)
        text = str(answer.get("message") or answer.get("error") or text)
    return text


def _one_line(text: str) -> str:
    text = " ".join(re.sub(r"<[\w.]+ object at 0x\w+>:? ?", "", text).split())
    return text if len(text) <= LONGEST_ANSWER else f"{text[:LONGEST_ANSWER]}…"


@dataclasses.dataclass(frozen=True)
class KubeflowServer:
    """Where Kubeflow Pipelines answers.

    Attributes:
      host: URL of its API.
      namespace: Of the user, where it has several; else empty.
      token: Bearer token; empty if it wants none.
    """

    host: str
    namespace: str = ""
    token: str = ""

    def submit(self, run: NewRun) -> str:
        """Starts a run and returns its URL; the experiment is made if there is none of the name.

        Raises:
          SubmissionError: There is no answer, or a refusal.
        """
        client = self._client()
        with _told(self.host):
            started = client.create_run_from_pipeline_package(
                str(run.file),
                arguments=run.parameters,
                run_name=run.name,
                experiment_name=run.experiment,
                namespace=self.namespace or None,
                pipeline_root=run.root,
            )
            run_id = self._id(started.run_id)
        return f"{self.host.rstrip('/')}/#/runs/details/{run_id}"

    def upload(self, file: Path, name: str, version: str) -> str:
        """Keeps the pipeline on the server and returns its id there.

        Args:
          file: The compiled pipeline.
          name: Under which it is kept. If it is there already, this is a new version of it.
          version: The version's name.

        Raises:
          SubmissionError: As `submit` does.
        """
        client = self._client()
        with _told(self.host):
            pipeline = self._known(client, name)
            if not pipeline:  # the upload makes a version too, but calls it as the pipeline
                uploaded = client.upload_pipeline(str(file), name, namespace=self.namespace or None)
                pipeline = self._id(uploaded.pipeline_id)
            client.upload_pipeline_version(str(file), version, pipeline_id=pipeline)
            return pipeline

    def _known(self, client: Any, name: str) -> str:
        """The id of the pipeline `name`; empty if there is none."""
        # Not the client's get_pipeline_id, which looks in no namespace.
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        found = client.list_pipelines(
            namespace=self.namespace or None, filter=json.dumps({"predicates": [predicate]})
        )
        return found.pipelines[0].pipeline_id if found.pipelines else ""

    def _id(self, answered: str | None) -> str:
        if not answered:  # kfp reads any page into an object without values
            raise SubmissionError(
                f"{self.host}: the answer has no id. Is this the API of Kubeflow Pipelines, and "
                "not a page to log in at?"
            )
        return answered

    def _client(self) -> Any:
        from pipeline.kubeflow.kfp_client import PatientClient

        with _told(self.host):
            return PatientClient(
                ANSWER_SECONDS,
                host=self.host,
                existing_token=self.token or None,
                namespace=self.namespace or "kubeflow",
            )


@dataclasses.dataclass(frozen=True)
class VertexAI:
    """A place at Google.

    Attributes:
      project: The Google Cloud project.
      region: E.g. europe-west4.
      service_account: In whose name the tasks run; empty for the project's default.
    """

    project: str
    region: str
    service_account: str = ""

    def submit(self, run: NewRun) -> str:
        """As `KubeflowServer.submit`; returns the run's resource name.

        Vertex AI groups runs by the pipeline's name; the experiment is what this one is shown as.
        """
        from google.cloud import aiplatform

        with _told(f"Vertex AI, project {self.project}, {self.region}"):
            job = aiplatform.PipelineJob(
                display_name=run.name or run.experiment,
                template_path=str(run.file),
                pipeline_root=run.root,
                parameter_values=run.parameters,
                project=self.project,
                location=self.region,
            )
            job.submit(
                service_account=self.service_account or None,
                create_request_timeout=GOOGLES_SECONDS,
            )
            return job.resource_name
