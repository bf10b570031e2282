"""The pipeline, compiled in this process."""

from typing import Any

from pipeline.config import Config
from pipeline.kubeflow.compiler import compile_pipeline
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.settings import DEFAULT_RESOURCES, ClusterConfig, Resources
from pipeline.pipeline import Paths
from pipeline.presets import PRESETS
from pipeline.target import Target

IMAGE = f"registry/fishnet@sha256:{'a' * 64}"
CONFIG = PRESETS["digits"]
ROOT = "gs://bucket/root"

# Every setting is another one than the default, and no two components have the same.
EVERY_SETTING = ClusterConfig(
    resources={
        node: Resources(cpu=number + 0.5, memory=number + 10, gpus=2 if node == "Trainer" else 0)
        for number, node in enumerate(DEFAULT_RESOURCES)
    },
    accelerator="amd.com/gpu",
    retries=3,
    backoff_seconds=30,
    environment=("TZ=UTC", "A=12e45"),
    secrets=("wandb/api-key=WANDB_API_KEY",),
    volumes=("models:/models", "checkpoints:/checkpoints"),
    node_selector=("cloud.google.com/gke-accelerator=nvidia-l4", "spot=y"),
    tolerations=("nvidia.com/gpu=present:NoSchedule", "spot:NoExecute"),
    shared_memory="2Gi",
    image_pull_secret="registry-key",
)


def compiled(
    target: Target = Target.KFP,
    cluster: ClusterConfig | None = None,
    config: Config = CONFIG,
    root: str = ROOT,
) -> Package:
    """The pipeline's package."""
    paths = Paths(data=f"{root}/data", artifacts=root, serving=f"{root}/serving", checkpoints="")
    return compile_pipeline(config, paths, target, IMAGE, cluster or ClusterConfig())


def tasks(package: Package) -> dict[str, Any]:
    """The tasks by name."""
    return package.spec["root"]["dag"]["tasks"]


def pods(package: Package) -> dict[str, Any]:
    """What Kubernetes is told of each component's pod, by the component's name."""
    executors = package.platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    components = package.spec["components"].items()
    return {name: executors.get(component["executorLabel"], {}) for name, component in components}
