"""Runs a pipeline on this machine, node by node, and reports what each node did."""

import dataclasses
import datetime
import time
from typing import Any

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import partial_run_utils, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import context_lib, execution_lib
from tfx.proto.orchestration import pipeline_pb2

from pipeline.nodes import WARM_START
from pipeline.peak_memory import PeakMemory


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """What a node did in a run.

    Attributes:
      id: The node's.
      seconds: Wall time.
      cached: Whether an earlier execution's outputs were taken.
      peak_mb: The most memory that this process held meanwhile, MB; None where it is not known.
      outputs: Artifacts by output key.
    """

    id: str
    seconds: float
    cached: bool
    peak_mb: float | None
    outputs: dict[str, list[types.Artifact]]

    def told(self) -> dict[str, Any]:
        """What `summary.json` says of it."""
        return {
            "seconds": round(self.seconds, 3),
            "cached": self.cached,
            "peak_mb": None if self.peak_mb is None else round(self.peak_mb),
        }


class LocalRun:
    """One run of a pipeline by TFX's LocalDagRunner, which is given one node at a time.

    LocalDagRunner itself says nothing of a node but by its log.

    Args:
      pipeline: What to run.
      from_node: Node to start at, with what earlier runs left; the first one if None.
      to_node: Node to end at; the last one if None.

    Raises:
      ValueError: There is no node between these two.
    """

    def __init__(
        self, pipeline: Pipeline, from_node: str | None = None, to_node: str | None = None
    ) -> None:
        self._connection = metadata.Metadata(pipeline.metadata_connection_config)
        self._ir = compiler.Compiler().compile(pipeline)
        runtime_parameter_utils.substitute_runtime_parameter(
            self._ir,
            {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()},
        )
        if from_node or to_node:
            partial_run_utils.mark_pipeline(
                self._ir,
                from_nodes=self._starts(from_node) if from_node else None,
                to_nodes=[to_node] if to_node else None,
            )
        if not self.node_ids:  # neither needs the other, say
            raise ValueError(f"nothing to run: {to_node} does not come after {from_node}")

    @property
    def node_ids(self) -> list[str]:
        """The nodes that will run, in order."""
        return [
            node.node_info.id
            for node in self._nodes()
            if not node.execution_options.HasField("skip")
        ]

    def run_node(self, node_id: str, use_cache: bool = True) -> NodeRun:
        """Runs the node `node_id`.

        Args:
          node_id: Its id.
          use_cache: Whether an earlier execution with the same inputs and parameters will do.

        Raises:
          Exception: What the node's executor raised.
        """
        started = time.monotonic()
        single = pipeline_pb2.Pipeline()
        single.CopyFrom(self._ir)
        for node in single.nodes:
            options = node.pipeline_node.execution_options
            if node.pipeline_node.node_info.id != node_id:
                options.skip.SetInParent()
            else:
                options.ClearField("skip")  # the report's, where the run was to end before it
                options.caching_options.enable_cache &= use_cache
        peak = PeakMemory()
        LocalDagRunner().run_with_ir(single)
        [node] = [node for node in self._nodes() if node.node_info.id == node_id]
        [node_run] = self._read([node], time.monotonic() - started, peak.megabytes())
        return node_run

    @property
    def needed_ids(self) -> list[str]:
        """The nodes that will not run and of which an earlier run's outputs are needed."""
        required = pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
        return [
            node.node_info.id
            for node in self._nodes()
            if node.execution_options.skip.reuse_artifacts_mode == required
        ]

    def take_from(self, run: str) -> None:
        """Has the earlier outputs be those of the run with this id, not of the latest one."""
        partial_run_utils.set_base_pipeline_run_strategy(
            self._ir.runtime_spec.snapshot_settings, run
        )

    def reuse(self) -> list[NodeRun]:
        """Takes an earlier run's outputs; returns the nodes that will not run and that have any."""
        skipped = [node for node in self._nodes() if node.execution_options.HasField("skip")]
        if skipped:
            with self._connection as handle:
                partial_run_utils.snapshot(handle, self._ir)
        return self._read(skipped, seconds=0.0, peak_mb=None)

    def _starts(self, from_node: str) -> list[str]:
        """Where to start: a training takes the model that is the last blessed one by now."""
        order = [node.node_info.id for node in self._nodes()]
        if WARM_START in order and order.index(from_node) <= order.index("Trainer"):
            return [from_node, WARM_START]
        return [from_node]

    def _nodes(self) -> list[pipeline_pb2.PipelineNode]:
        return [node.pipeline_node for node in self._ir.nodes]

    def _read(
        self, nodes: list[pipeline_pb2.PipelineNode], seconds: float, peak_mb: float | None
    ) -> list[NodeRun]:
        """What `nodes` did in this run, by ML Metadata; nothing of those it does not know."""
        found = []
        with self._connection as handle:
            for node in nodes:
                contexts = context_lib.prepare_contexts(handle, node.contexts)
                executions = execution_lib.get_executions_associated_with_all_contexts(
                    handle, contexts
                )
                if executions:
                    latest = max(executions, key=lambda execution: execution.id)
                    outputs = execution_lib.get_output_artifacts(handle, latest.id)
                    cached = latest.last_known_state == mlmd.proto.Execution.CACHED
                    found.append(NodeRun(node.node_info.id, seconds, cached, peak_mb, outputs))
        return found
