"""The pipeline → a spec: TFX's compiler, and what it leaves out."""

import datetime
from collections.abc import Iterator
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline

from components.report.keys import KUBEFLOW_TYPES
from pipeline.config import Config
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.platform import platform_document
from pipeline.kubeflow.settings import ClusterConfig, Resources
from pipeline.nodes import JUDGES, NEVER_CACHED, REPORT
from pipeline.pipeline import Paths, create_pipeline
from pipeline.target import Target

ENTRY_POINT = ["python", "-m", "deploy.kfp_entrypoint"]  # in place of TFX's own; see there why
ACCELERATORS = {Target.KFP: "nvidia.com/gpu", Target.VERTEX: "NVIDIA_TESLA_T4"}
BACKOFF_FACTOR = 2.0
# From the start of the first attempt, the attempts themselves included: whoever reaches it is not
# started again, or is killed. Vertex AI takes an hour at most.
MAX_RETRYING = {Target.KFP: datetime.timedelta(days=30), Target.VERTEX: datetime.timedelta(hours=1)}

ContainerSpec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec


def compile_pipeline(
    config: Config, paths: Paths, target: Target, image: str, cluster: ClusterConfig
) -> Package:
    """Compiles the pipeline. Needs no network and no credentials.

    Args:
      config: The pipeline's.
      paths: Likewise; URIs, or folders on volumes that the cluster mounts.
      target: KFP or VERTEX.
      image: Of the container that every component runs in.
      cluster: How the cluster runs them.
    """
    pipeline = create_pipeline(config, paths, target=target, image=image)
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=image,
            default_commands=ENTRY_POINT if target is Target.KFP else None,
            use_pipeline_spec_2_1=True,
        )
    )
    job = runner.run(pipeline, write_out=False)
    spec = job["pipelineSpec"]
    spec["defaultPipelineRoot"] = paths.artifacts
    _add_defaults(spec, pipeline)
    for task in spec["root"]["dag"]["tasks"].values():
        _finish_task(task, cluster, target)
    for node, container in containers(spec):
        _finish_container(container, cluster.resources[node], cluster, target)
    if target is Target.VERTEX:
        return Package(target, spec, job=job)
    outputs = spec["components"][REPORT]["outputDefinitions"]["artifacts"]
    for key, schema_title in KUBEFLOW_TYPES.items():
        outputs[key]["artifactType"] = {"schemaTitle": schema_title, "schemaVersion": "0.0.1"}
    return Package(target, spec, platforms=platform_document(cluster, spec))


def containers(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The node and the container of each component of a spec that runs in one."""
    executors = spec["deploymentSpec"]["executors"]
    for node, component in spec["components"].items():
        executor = executors[component["executorLabel"]]
        if "container" in executor:
            yield node, executor["container"]


def _add_defaults(spec: dict[str, Any], pipeline: Pipeline) -> None:
    """Gives the run's parameters their defaults, of which TFX's compiler says nothing."""
    for component in pipeline.components:
        for value in component.exec_properties.values():
            if isinstance(value, RuntimeParameter):
                parameter = spec["root"]["inputDefinitions"]["parameters"][value.name]
                parameter["defaultValue"] = value.default


def _finish_task(task: dict[str, Any], cluster: ClusterConfig, target: Target) -> None:
    if task["componentRef"]["name"] in NEVER_CACHED:
        task.pop("cachingOptions", None)
    for value in task.get("inputs", {}).get("parameters", {}).values():
        if producer := value.get("taskOutputParameter"):
            # TFX 1.16 names a task that does not exist.
            producer["producerTask"] = producer["producerTask"].removesuffix("_task")
    if cluster.retries and task["componentRef"]["name"] not in JUDGES:
        task["retryPolicy"] = {
            "maxRetryCount": cluster.retries,
            "backoffDuration": f"{cluster.backoff_seconds}s",
            "backoffFactor": BACKOFF_FACTOR,
            "backoffMaxDuration": f"{MAX_RETRYING[target].total_seconds():.0f}s",
        }


def _finish_container(
    container: dict[str, Any], resources: Resources, cluster: ClusterConfig, target: Target
) -> None:
    # Not by TFX's `with_platform_config`, which it drops for ExampleGen.
    container["resources"] = {"cpuLimit": resources.cpu, "memoryLimit": resources.memory}
    if resources.gpus:
        container["resources"]["accelerator"] = {
            "type": cluster.accelerator or ACCELERATORS[target],
            "count": str(resources.gpus),
        }
    environment = cluster.parsed_environment()
    if environment:
        container["env"] = [{"name": k, "value": v} for k, v in sorted(environment.items())]
    if target is Target.KFP:  # which ignores it; the entry point does what it tells
        container.pop("lifecycle", None)
