"""Writes runs into an output folder's record and artifacts, as TFX would, and runs nothing."""

import dataclasses
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata import proto

from served_model.files import digest, model_files
from served_model.receipt import Receipt
from served_model.versions import VersionFolder

COMPLETE, FAILED, CACHED = (
    proto.Execution.COMPLETE,
    proto.Execution.FAILED,
    proto.Execution.CACHED,
)
KILOBYTE = 1000


@dataclasses.dataclass
class Recorder:
    """An output folder.

    Attributes:
        output: The folder.
    """

    output: Path

    def __post_init__(self) -> None:
        config = proto.ConnectionConfig()
        config.sqlite.filename_uri = str(self.output / "metadata.db")
        self.store = mlmd.MetadataStore(config)
        self._run = 0
        self._run_type = self.store.put_context_type(proto.ContextType(name="pipeline_run"))
        self._node_type = self.store.put_context_type(proto.ContextType(name="node"))
        self._execution_type = self.store.put_execution_type(proto.ExecutionType(name="any"))

    def begin(self, started: str) -> None:
        """Begins a run."""
        context = proto.Context(type_id=self._run_type, name=started)
        [self._run] = self.store.put_contexts([context])

    def node(
        self,
        name: str,
        inputs: tuple[int, ...] = (),
        outputs: dict[str, str] | None = None,
        state: int = COMPLETE,
        cached: tuple[int, ...] = (),
        **properties: str | int,
    ) -> list[int]:
        """Records what a node did.

        Args:
            name: The node's.
            inputs: Ids of artifacts.
            outputs: Key → type of the artifacts that it makes, a file of a kilobyte each.
            state: How it ended.
            cached: Ids of artifacts that it has from the cache.
            **properties: Custom properties of the outputs.

        Returns:
            Ids of the outputs.
        """
        execution = proto.Execution(type_id=self._execution_type, last_known_state=state)
        [execution_id] = self.store.put_executions([execution])
        context = self.store.get_context_by_type_and_name("node", f"fishnet.{name}")
        if not context:
            context = proto.Context(type_id=self._node_type, name=f"fishnet.{name}")
            [context.id] = self.store.put_contexts([context])
        self.store.put_attributions_and_associations(
            [],
            [
                proto.Association(execution_id=execution_id, context_id=context_id)
                for context_id in (self._run, context.id)
            ],
        )
        made = [
            self._artifact(f"{name}/{key}/{execution_id}", kind, properties)
            for key, kind in (outputs or {}).items()
        ]
        events = [(artifact, proto.Event.INPUT) for artifact in inputs]
        events += [(artifact, proto.Event.OUTPUT) for artifact in (*cached, *made)]
        self.store.put_events(
            [
                proto.Event(artifact_id=artifact, execution_id=execution_id, type=kind)
                for artifact, kind in events
            ]
        )
        return made

    def _artifact(self, path: str, kind: str, properties: dict[str, str | int]) -> int:
        folder = self.output.resolve() / "artifacts" / path
        folder.mkdir(parents=True)
        (folder / "content").write_bytes(bytes(KILOBYTE))
        artifact = proto.Artifact(
            type_id=self.store.put_artifact_type(proto.ArtifactType(name=kind)),
            uri=str(folder),
            state=proto.Artifact.LIVE,
        )
        for key, value in properties.items():
            field = "string_value" if isinstance(value, str) else "int_value"
            setattr(artifact.custom_properties[key], field, value)
        [artifact_id] = self.store.put_artifacts([artifact])
        return artifact_id

    def training(self, started: str, blessed: bool, push: bool) -> dict[str, int]:
        """Records a run that trains a model, and gives the ids of what it made."""
        self.begin(started)
        [examples] = self.node("ImportExampleGen", outputs={"examples": "Examples"})
        made = {"model": "Model", "model_run": "ModelRun"}
        model, model_run = self.node("Trainer", (examples,), made)
        blessing, evaluation = self.node(
            "Evaluator",
            (examples, model),
            {"blessing": "ModelBlessing", "evaluation": "ModelEvaluation"},
            blessed=int(blessed),
            current_model_id=model,
        )
        version = self._push(model, started) if push else 0
        [pushed] = self.node(
            "Pusher",
            (model, blessing),
            {"pushed_model": "PushedModel"},
            pushed=int(push),
            pushed_version=str(version),
        )
        return {
            "examples": examples,
            "model": model,
            "model_run": model_run,
            "blessing": blessing,
            "evaluation": evaluation,
            "pushed_model": pushed,
        }

    def _push(self, model: int, run: str) -> int:
        [artifact] = self.store.get_artifacts_by_id([model])
        source = Path(artifact.uri, "Format-Serving")
        source.mkdir()
        (source / "saved_model.pb").write_bytes(str(model).encode())
        receipt = Receipt(
            digest(str(source), model_files(str(source))),
            model_uri=str(source),
            run=run,
            metrics={"top1": 0.5},
        )

        def copy(target: str) -> None:
            Path(target).mkdir(parents=True)
            Path(target, "saved_model.pb").write_bytes((source / "saved_model.pb").read_bytes())

        versions = VersionFolder(self.output / "serving" / "fishnet")
        return versions.push(copy, receipt, keep=2)[0]

    def there(self) -> set[int]:
        """Ids of the artifacts whose folders are there."""
        return {a.id for a in self.store.get_artifacts() if Path(a.uri, "content").is_file()}

    def states(self) -> dict[int, str]:
        """State of each artifact."""
        return {a.id: proto.Artifact.State.Name(a.state) for a in self.store.get_artifacts()}
