"""An output folder's runs and the artifacts that they left, as ML Metadata has them.

Nothing of TensorFlow is imported here.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata import proto

from pipeline.run_record import METADATA_FILE, RecordError, check_record

# TFX's names of types and of properties.
RUN, NODE = "pipeline_run", "node"  # contexts
MODEL, BLESSING, PUSHED_MODEL = "Model", "ModelBlessing", "PushedModel"  # artifacts
BLESSED, BLESSED_MODEL = "blessed", "current_model_id"  # of a blessing

FINISHED = (proto.Execution.COMPLETE, proto.Execution.CACHED)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
      started: When, in ISO 8601: TFX's name for it.
      nodes: What became of each node that was begun, by name, in order.
      artifacts: Ids of all that its nodes took, made, or had from the cache.
    """

    started: str
    nodes: dict[str, int]
    artifacts: frozenset[int]

    @property
    def cached(self) -> int:
        """How many nodes' outputs were those of an earlier run."""
        return sum(state == proto.Execution.CACHED for state in self.nodes.values())

    @property
    def unfinished(self) -> str | None:
        """The node that failed or was interrupted."""
        return next((name for name, state in self.nodes.items() if state not in FINISHED), None)


class History:
    """What is known of an output folder's runs.

    Args:
      output: The folder; it has had a run.
      change: Whether `mark_deleted` is to be called; else the file is opened for reading alone.

    Raises:
      RecordError: The record is damaged.
    """

    def __init__(self, output: Path, change: bool = False) -> None:
        check_record(output)
        self._output = output
        sqlite = proto.SqliteMetadataSourceConfig
        self._store = mlmd.MetadataStore(
            proto.ConnectionConfig(
                sqlite=sqlite(
                    filename_uri=str(output / METADATA_FILE),
                    connection_mode=sqlite.READWRITE if change else sqlite.READONLY,
                )
            )
        )
        self.artifacts = {artifact.id: artifact for artifact in self._store.get_artifacts()}
        self._types = {found.id: found.name for found in self._store.get_artifact_types()}
        self._outputs: dict[int, set[int]] = defaultdict(set)  # of executions
        self._touched: dict[int, set[int]] = defaultdict(set)  # inputs and outputs
        self._producers: dict[int, int] = {}  # artifact → the execution that made it
        self._read_events()
        self.runs = self._read_runs()

    def of_type(self, name: str) -> list[proto.Artifact]:
        """The artifacts of a type, oldest first, also deleted ones."""
        return [
            artifact
            for _, artifact in sorted(self.artifacts.items())
            if self._types[artifact.type_id] == name
        ]

    def node_of(self, artifact: int) -> str:
        """Name of the node that made the artifact of this id."""
        return self._nodes.get(self._producers.get(artifact, 0), "")

    def made_with(self, artifact: int) -> set[int]:
        """Ids of all that the execution made which made this one, itself among them."""
        return {artifact} | self._outputs[self._producers.get(artifact, 0)]

    def newest_with(self, nodes: Collection[str]) -> Run:
        """The newest run that has all that these nodes make, of which nothing is deleted.

        Raises:
          RecordError: There is none.
        """
        for run in self.runs:
            is_done = all(run.nodes.get(node) in FINISHED for node in nodes)
            states = {self.artifacts[artifact].state for artifact in run.artifacts}
            if is_done and proto.Artifact.DELETED not in states:
                return run
        raise RecordError(
            f"no earlier run in {self._output} has all that these nodes make: {', '.join(nodes)}. "
            "Start at an earlier node, or leave --from out"
        )

    def champion(self) -> proto.Artifact | None:
        """The last blessed model; None if there is none yet."""
        blessed = [
            blessing
            for blessing in self.of_type(BLESSING)
            if blessing.state == proto.Artifact.LIVE and int_property(blessing, BLESSED)
        ]
        return self.artifacts.get(blessed_model(blessed[-1])) if blessed else None

    def mark_deleted(self, artifacts: Iterable[proto.Artifact]) -> None:
        """Has no later run take these from the cache, or as inputs."""
        # An artifact that stays must not be written: when it was is part of TFX's cache keys.
        changed = [a for a in artifacts if a.state != proto.Artifact.DELETED]
        for artifact in changed:
            artifact.state = proto.Artifact.DELETED
        self._store.put_artifacts(changed)

    def _read_events(self) -> None:
        executions = [execution.id for execution in self._store.get_executions()]
        made = (proto.Event.OUTPUT, proto.Event.PENDING_OUTPUT)
        for event in self._store.get_events_by_execution_ids(executions) if executions else []:
            self._touched[event.execution_id].add(event.artifact_id)
            if event.type in made:
                self._outputs[event.execution_id].add(event.artifact_id)
                # The cache's executions come later and name the same artifacts.
                first = self._producers.get(event.artifact_id, event.execution_id)
                self._producers[event.artifact_id] = min(first, event.execution_id)

    def _read_runs(self) -> list[Run]:
        """The runs, newest first."""
        self._nodes = {
            execution.id: context.name.partition(".")[2]
            for context in self._store.get_contexts_by_type(NODE)
            for execution in self._store.get_executions_by_context(context.id)
        }
        runs = []
        for context in sorted(self._store.get_contexts_by_type(RUN), key=lambda c: -c.id):
            executions = self._store.get_executions_by_context(context.id)
            executions = sorted(executions, key=lambda execution: execution.id)
            runs.append(
                Run(
                    started=context.name,
                    nodes={self._nodes[e.id]: e.last_known_state for e in executions},
                    artifacts=frozenset().union(*(self._touched[e.id] for e in executions)),
                )
            )
        return runs


def blessed_model(blessing: proto.Artifact) -> int:
    """Id of the model that a blessing is of."""
    return int_property(blessing, BLESSED_MODEL)


def int_property(artifact: proto.Artifact, name: str) -> int:
    """A custom property; 0 if it has none of the name."""
    properties = artifact.custom_properties
    # Asking for one that is absent would add it, without a value, of which ML Metadata dies.
    return properties[name].int_value if name in properties else 0
