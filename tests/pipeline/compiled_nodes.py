"""The pipeline's nodes as TFX compiles them: their parameters, and where their inputs come from."""

import json

from google.protobuf import json_format
from tfx.dsl.compiler import compiler

from pipeline.config import Config
from pipeline.nodes import REPORT
from pipeline.pipeline import Paths, create_pipeline
from pipeline.target import Target
from pipeline.training_config import ModelConfig, TunerConfig

PATHS = Paths(data="/data", artifacts="/artifacts", serving="/serving", checkpoints="/checkpoints")
CONFIG = Config()
TUNED = Config(tuner=TunerConfig(enable=True))
FROM_CHAMPION = Config(model=ModelConfig(weights="champion"))


def compiled(
    config: Config = CONFIG, paths: Paths = PATHS, target: Target = Target.LOCAL
) -> dict[str, dict]:
    """Each node of the compiled pipeline as JSON, by id, in the order in which they run."""
    ir = compiler.Compiler().compile(create_pipeline(config, paths, target=target))
    nodes = [json_format.MessageToDict(node.pipeline_node) for node in ir.nodes]
    return {node["nodeInfo"]["id"]: node for node in nodes}


def parameters(node: dict) -> dict[str, object]:
    """A node's execution parameters; those which are JSON, read."""
    found = {}
    for name, parameter in node.get("parameters", {}).get("parameters", {}).items():
        [value] = parameter["fieldValue"].values()
        found[name] = value
        if isinstance(value, str) and value[:1] in ("{", "["):
            found[name] = json.loads(value)
    return found


def changed(before: dict[str, dict], after: dict[str, dict]) -> set[str]:
    """Nodes whose parameters differ: what a cache of their outputs is keyed by.

    But for the report's, which tell the whole config; it is never cached.
    """
    names = set(before) - {REPORT}
    return {name for name in names if parameters(before[name]) != parameters(after[name])}


def producers(node: dict, key: str) -> set[tuple[str, str]]:
    """(node, output) that the input `key` comes from."""
    return {
        (channel["producerNodeQuery"]["id"], channel["outputKey"])
        for channel in node["inputs"]["inputs"][key]["channels"]
    }
