"""Reads pipelines' files as the newest kfp does, and says a line of each. Run with its Python."""

import sys
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp import components
from kfp.client import client
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2


def read(file: str) -> str:
    """What the file has; any exception is a refusal."""
    document = client._extract_pipeline_yaml(file)
    component = components.load_component_from_file(file)
    spec, *platforms = yaml.safe_load_all(Path(file).read_text("ascii"))
    json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    pods = 0
    for platform in platforms:
        for pod in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
            json_format.ParseDict(pod, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
            pods += 1
    return f"{component.name} {len(document.pipeline_spec.root.dag.tasks)} tasks {pods} pods"


for file in sys.argv[1:]:
    try:
        said = read(file)
    except Exception as error:
        said = f"refused: {' '.join(str(error).split())}"
    sys.stdout.write(f"{said}\n")
