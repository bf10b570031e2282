"""Open-source Kubeflow Pipelines 2.x on one machine: runs a compiled pipeline, task after task.

It does what the API server, the driver and the launcher do (read from kubeflow/pipelines 2.0 to
2.16), each container task in a process of its own with a root file system of its own:

    with ObjectStore(tmp_path / "gs") as store:
        store.create_bucket("minio://mlpipeline")
        emulator = Emulator(file, store, "minio://mlpipeline/v2/artifacts", tmp_path / "pods")
        run = emulator.run({"epochs": 2})
        run.check()
        model = run.tasks["Trainer"].artifacts["model"].uri
"""

import dataclasses
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as ir
from kubeflow.compiled import CompiledPipeline, RefusedError, Task
from kubeflow.driver import TASK_ROOT, TMP, Context, executor_input, text_of
from kubeflow.launcher import LaunchError, launch
from kubeflow.object_store import REGION, ObjectStore
from kubeflow.pod import Image, Pod, SandboxUnavailableError
from kubeflow.pod_settings import Cluster, PodSettings, claim_names, pod_settings
from kubeflow.records import Outputs, Records, fingerprint
from kubeflow.results import (
    CACHED,
    FAILED,
    SKIPPED,
    SUCCEEDED,
    Attempt,
    Run,
    RunFailedError,
    TaskResult,
)

_LOG_TAIL = 4000  # characters


class Emulator:
    """Kubeflow Pipelines with one pipeline uploaded.

    Attributes:
        pipeline: The pipeline as compiled.
        records: ML Metadata and the cache.
    """

    def __init__(
        self,
        file: Path,
        store: ObjectStore,
        root_uri: str,
        folder: Path,
        *,
        output_file_place: str = TASK_ROOT,
        image: Image | None = None,
        cluster: Cluster | None = None,
        records: Records | None = None,
        watch: Callable[[Pod], None] | None = None,
        limit_s: float = 600,
    ) -> None:
        """Uploads the pipeline.

        Args:
            file: The compiled YAML.
            store: The object stores.
            root_uri: The pipeline root: minio://, s3:// or gs://, a bucket and a path.
            folder: The host's folder for the pods' files; made, and emptied after each.
            output_file_place: `TASK_ROOT` (2.15 and later) or `TMP` (until 2.14).
            image: What the containers run, whatever image the pipeline names.
            cluster: Secrets, config maps and volume claims.
            records: Those of an earlier emulator, to be the same Kubeflow still.
            watch: Called with each pod once its process runs, in a thread of its own: to kill it.
            limit_s: Seconds after which a task's process is killed.

        Raises:
            RefusedError: If Kubeflow would refuse the pipeline.
        """
        self.pipeline = CompiledPipeline(file)
        self.records = records or Records()
        self._store, self._root_uri, self._folder = store, root_uri, folder
        self._place, self._image = output_file_place, image or Image()
        self._cluster, self._watch, self._limit_s = cluster or Cluster(), watch, limit_s

    def run(self, parameters: Mapping[str, Any] | None = None) -> Run:
        """Runs the pipeline, up to the first task that fails.

        Args:
            parameters: The run's.

        Raises:
            RefusedError: If Kubeflow would refuse the parameters.
            SandboxUnavailableError: If this machine cannot run pods.
        """
        arguments = self.pipeline.arguments(parameters or {})
        results = {task.name: TaskResult(task.name) for task in self.pipeline.tasks}
        done: dict[str, Outputs] = {}
        name, run_id = self.pipeline.name, str(uuid.uuid4())
        context = Context(
            name, run_id, f"run of {name}", self._root_uri, self._place, arguments, done
        )
        for task in self.pipeline.tasks:
            result = results[task.name]
            began = time.monotonic()
            self._run_task(task, context, result)
            result.seconds = time.monotonic() - began
            if result.state == FAILED:
                break
            done[task.name] = result.outputs
        return Run(run_id, context.run_root, results)

    def _run_task(self, task: Task, context: Context, result: TaskResult) -> None:
        try:
            if task.executor.HasField("importer"):
                result.outputs = self._import(task, context)
                result.state = SUCCEEDED
            else:
                self._run_container(task, context, result)
        except RefusedError as error:
            result.state, result.error = FAILED, f"driver: {error}"

    def _run_container(self, task: Task, context: Context, result: TaskResult) -> None:
        given = executor_input(task, context, str(uuid.uuid4()))
        result.executor_input = json_format.MessageToDict(given)
        key = self._fingerprint(task, given, context)
        cached = self.records.cached(key) if key else None
        if cached is not None:
            result.state, result.outputs = CACHED, cached
            return
        self._attempt_until_done(task, context, given, result)
        if key and result.state == SUCCEEDED:
            self.records.remember(key, result.outputs)

    def _fingerprint(self, task: Task, given: ir.ExecutorInput, context: Context) -> str | None:
        if not task.spec.caching_options.enable_cache:
            return None
        claims = claim_names(task, context)
        container = task.executor.container
        return fingerprint(self.pipeline.name, given, task.component, container, claims)

    def _attempt_until_done(
        self, task: Task, context: Context, given: ir.ExecutorInput, result: TaskResult
    ) -> None:
        policy = task.spec.retry_policy
        backoffs = _backoffs(policy)
        begun, longest = time.monotonic(), policy.backoff_max_duration.seconds
        while True:
            outputs = self._attempt(task, context, given, result)
            if outputs is not None:
                result.state, result.outputs, result.error = SUCCEEDED, outputs, None
                return
            last = result.attempts[-1]
            result.state, result.error = FAILED, f"{last.error}\n{last.log[-_LOG_TAIL:]}"
            wait_s = next(backoffs, None)
            if wait_s is None:
                return
            # Argo Workflows counts from the first attempt's start, whatever the time was spent on.
            passed = time.monotonic() - begun + sum(result.backoff_s) + wait_s
            if longest and passed > longest:
                return
            result.backoff_s.append(wait_s)

    def _attempt(
        self, task: Task, context: Context, given: ir.ExecutorInput, result: TaskResult
    ) -> Outputs | None:
        folder = self._folder / task.name
        settings = pod_settings(task, context, self._cluster, folder / "volumes")
        image = self._image
        if settings.user is not None:
            image = dataclasses.replace(image, user=settings.user)
        number = len(result.attempts) + 1
        pod = Pod(folder / "pod", image, settings.volumes, task.name, number)
        try:
            outputs, ended = launch(
                task,
                given,
                pod,
                self._environment(task, image, settings),
                self._store,
                self.records,
                context.run_root,
                self._watch,
                settings.limit_s or self._limit_s,
            )
        except LaunchError as error:
            ended = error.ended
            attempt = (ended.exit_code, ended.seconds, ended.log) if ended else (None, 0.0, "")
            result.attempts.append(Attempt(*attempt, str(error)))
            return None
        finally:
            shutil.rmtree(folder)
        result.attempts.append(Attempt(ended.exit_code, ended.seconds, ended.log, None))
        return outputs

    def _environment(self, task: Task, image: Image, settings: PodSettings) -> dict[str, str]:
        """Returns a container's environment: the image's, Kubeflow's, and the pipeline's."""
        pod_name = f"{self.pipeline.name}-{task.name.lower()}"
        kubeflow = {
            "HOSTNAME": pod_name,
            "KFP_POD_NAME": pod_name,
            "KFP_POD_UID": str(uuid.uuid4()),
            "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.invalid",
            "METADATA_GRPC_SERVICE_PORT": "8080",
            # Stands in for the cluster's network, in which the endpoint would have a name.
            "AWS_ENDPOINT_URL": self._store.endpoint,
            "AWS_DEFAULT_REGION": REGION,
        }
        said = {variable.name: variable.value for variable in task.executor.container.env}
        return {**image.environment, **kubeflow, **said, **settings.environment}

    def _import(self, task: Task, context: Context) -> Outputs:
        """Records an artifact that is there already (importer_launcher.go)."""
        importer = task.executor.importer
        (key,) = task.component.output_definitions.artifacts
        uri = _imported_uri(task, context)
        found = None if importer.reimport else self.records.find(uri)
        if found is None:
            artifact = ir.RuntimeArtifact(uri=uri, metadata=importer.metadata)
            session = f'{{"Provider":"{uri.split(":")[0]}","Params":{{"fromEnv":"true"}}}}'
            found = self.records.record(key, artifact, session)
        return Outputs({key: found}, {})


def _imported_uri(task: Task, context: Context) -> str:
    given = task.executor.importer.artifact_uri
    if given.WhichOneof("value") == "constant":
        return text_of(given.constant)
    name = given.runtime_parameter
    parameter = task.spec.inputs.parameters[name].component_input_parameter
    if parameter not in context.arguments:
        raise RefusedError(f"cannot find parameter {parameter!r} to fetch artifact uri")
    return text_of(context.arguments[parameter])


def _backoffs(policy: ir.PipelineTaskSpec.RetryPolicy) -> Iterator[float]:
    """Yields the seconds to wait before each retry, as Argo Workflows does."""
    for number in range(policy.max_retry_count):
        yield policy.backoff_duration.seconds * (policy.backoff_factor or 1.0) ** number


__all__ = [
    "CACHED",
    "FAILED",
    "SKIPPED",
    "SUCCEEDED",
    "TASK_ROOT",
    "TMP",
    "Attempt",
    "Cluster",
    "Emulator",
    "Image",
    "ObjectStore",
    "Pod",
    "Records",
    "RefusedError",
    "Run",
    "RunFailedError",
    "SandboxUnavailableError",
    "TaskResult",
]
