"""The DAG as a Mermaid diagram, for docs/pipeline.md: python -m pipeline.picture."""

import sys

from tfx.dsl.compiler import compiler
from tfx.orchestration.pipeline import Pipeline

from cli.streams import prepare_streams
from pipeline.config import Config
from pipeline.nodes import REPORT
from pipeline.pipeline import Paths, create_pipeline
from pipeline.training_config import TunerConfig


def picture(pipeline: Pipeline) -> str:
    """A line for each node that takes another's output, whose name stands at the arrow.

    A dotted arrow goes to a node that takes nothing but waits for the gate before it. What the
    report takes, an output of almost every node, is left out.
    """
    lines = ["flowchart TD"]
    for node in (found.pipeline_node for found in compiler.Compiler().compile(pipeline).nodes):
        name = node.node_info.id
        if name == REPORT:
            continue
        taken: dict[str, set[str]] = {}
        for found in node.inputs.inputs.values():
            for channel in found.channels:
                if channel.producer_node_query.id:  # the champion is looked for among all runs'
                    taken.setdefault(channel.producer_node_query.id, set()).add(channel.output_key)
        for producer, outputs in sorted(taken.items()):
            lines.append(f'  {producer} -- "{", ".join(sorted(outputs))}" --> {name}')
        lines += [f"  {gate} -.-> {name}" for gate in sorted(set(node.upstream_nodes) - set(taken))]
    return "\n".join(lines) + "\n"


def local_pipeline() -> Pipeline:
    """That of a local run with the Tuner."""
    config = Config(tuner=TunerConfig(enable=True))
    return create_pipeline(config, Paths("data", "artifacts", "serving", checkpoints=""))


if __name__ == "__main__":
    prepare_streams()
    sys.stdout.write(picture(local_pipeline()))
