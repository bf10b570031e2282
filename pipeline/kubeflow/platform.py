"""The second document of a pipeline's file: what Kubernetes is told of each component's pod.

Its fields are those of kfp-kubernetes (kubernetes_platform/proto/kubernetes_executor_config.proto).
"""

import dataclasses
from typing import Any

from pipeline.kubeflow.settings import TRAINING, ClusterConfig

SHARED_MEMORY = "/dev/shm"


def platform_document(cluster: ClusterConfig, spec: dict[str, Any]) -> dict[str, Any]:
    """The document; empty where nothing is to be told.

    Args:
      cluster: The settings.
      spec: The compiled pipeline.
    """
    executors = {}
    for node, component in spec["components"].items():
        pod = _every_pod(cluster) | (_training_pod(cluster) if node in TRAINING else {})
        if pod:
            executors[component["executorLabel"]] = pod
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _every_pod(cluster: ClusterConfig) -> dict[str, Any]:
    pod: dict[str, Any] = {}
    if volumes := cluster.parsed_volumes():
        pod["pvcMount"] = [{"constant": v.claim, "mountPath": v.path} for v in volumes]
    if secrets := cluster.parsed_secrets():
        pod["secretAsEnv"] = [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": secret.variable}],
            }
            for secret in secrets
        ]
    if cluster.image_pull_secret:
        pod["imagePullSecret"] = [{"secretName": cluster.image_pull_secret}]
    return pod


def _training_pod(cluster: ClusterConfig) -> dict[str, Any]:
    pod: dict[str, Any] = {}
    if labels := cluster.parsed_node_selector():
        pod["nodeSelector"] = {"labels": labels}
    if tolerations := cluster.parsed_tolerations():
        pod["tolerations"] = [
            dataclasses.asdict(toleration) | {"operator": "Equal"}
            if toleration.value
            else {"key": toleration.key, "operator": "Exists", "effect": toleration.effect}
            for toleration in tolerations
        ]
    if cluster.shared_memory:
        # Not `enabledSharedMemory`, a field that no server of Kubeflow Pipelines looks at.
        pod["emptyDirMounts"] = [
            {
                "volumeName": "shm",
                "mountPath": SHARED_MEMORY,
                "medium": "Memory",
                "sizeLimit": cluster.shared_memory,
            }
        ]
    return pod
