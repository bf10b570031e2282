"""The file is one that every kfp reads, from ours to the newest."""

import subprocess
from pathlib import Path

import pytest
import yaml
from compiling import EVERY_SETTING, compiled
from google.protobuf import json_format
from kfp import components
from kfp.client import client
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.settings import CLUSTER_NODES, ClusterConfig

READER = Path(__file__).with_name("newest_reader.py")
NODES = len(CLUSTER_NODES)
SPOILED = {
    "taskInfo:": "taskInfos:",
    "memoryLimit:": "memoryLimits:",
    "nodeSelector:": "nodeSelectors:",
    "sizeLimit:": "sizeLimits:",
}


@pytest.mark.parametrize(
    "cluster", [ClusterConfig(), EVERY_SETTING], ids=["defaults", "every-setting"]
)
def test_our_kfp_reads_it(cluster, tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(compiled(cluster=cluster).to_text(), "ascii")
    document = client._extract_pipeline_yaml(str(file))
    assert set(document.pipeline_spec.root.dag.tasks) == set(CLUSTER_NODES)
    spec, *platforms = yaml.safe_load_all(file.read_text("ascii"))
    assert json_format.MessageToDict(document.platform_spec) == (platforms or [{}])[0]
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(spec["deploymentSpec"], deployment)
    assert len(deployment.executors) == NODES
    assert components.load_component_from_file(str(file)).name == "fishnet"


@pytest.mark.slow
def test_the_newest_kfp_reads_it_with_each_platform_setting_and_is_strict(readers, tmp_path):
    plain, full = compiled().to_text(), compiled(cluster=EVERY_SETTING).to_text()
    assert all(name in full for name in SPOILED)
    texts = [plain, full, *(full.replace(*names) for names in SPOILED.items())]
    files = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, "ascii")
    said = subprocess.run(
        [readers, READER, *files], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()
    assert said[:2] == [f"fishnet {NODES} tasks 0 pods", f"fishnet {NODES} tasks {NODES} pods"]
    for line, bad in zip(said[2:], SPOILED.values(), strict=True):
        assert line.startswith("refused: ")
        assert bad.removesuffix(":") in line
