"""A local run from the data set's folder to the verdict, printed to a console."""

import dataclasses
import datetime
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from rich.console import Console
from tfx import types

from components.report import keys, outcome
from components.report.verdict import Verdict
from components.train import devices
from components.tune.trials import read_trials, table
from dataset.class_names import check_number
from dataset.errors import DataError
from dataset.folder import Dataset, read_dataset
from pipeline import runs
from pipeline.conclusion import conclude
from pipeline.config import Config
from pipeline.disk_space import DiskSpace, DiskSpaceError, disk_space
from pipeline.history import History
from pipeline.interrupts import Interrupts
from pipeline.local_run import LocalRun, NodeRun
from pipeline.nodes import NEVER_CACHED, REPORT, TUNER
from pipeline.pipeline import PIPELINE_NAME, Paths, create_pipeline
from pipeline.reported import REPORTED
from pipeline.run_record import (
    ARTIFACTS,
    METADATA_FILE,
    RecordError,
    check_record,
    check_writable,
    set_aside_artifacts,
)
from pipeline.terminal import working
from pipeline.weights_check import check_weights

# Why nothing was pushed.
REASONS = {
    Verdict.NOT_BLESSED: "a threshold was not met; nothing was pushed, what was served still is",
    Verdict.SERVING_REFUSED: "a server would fail with it, as reported above; nothing was pushed",
}

logger = logging.getLogger("local_run")  # to the log file alone; the console has its own words


@dataclasses.dataclass
class Session:
    """One local run.

    Attributes:
      config: The pipeline's.
      data: The data set's folder.
      embedded_data: Whether that is the embedded data set's, which is written if it is missing.
      output: Folder for everything that the run writes.
      console: Where it is printed.
      from_node: Node to start at; the first one if None.
      to_node: Node to end at; the last one if None.
      command: The command line that asked for it.
      nodes: What the nodes did so far, by id.
      local_run: What carries the nodes out, once that is known.
      at_work: The node that is, or was when the run failed; empty otherwise.
    """

    config: Config
    data: Path
    embedded_data: bool
    output: Path
    console: Console
    from_node: str | None = None
    to_node: str | None = None
    command: Sequence[str] = ()
    nodes: dict[str, NodeRun] = dataclasses.field(default_factory=dict)
    local_run: LocalRun | None = None
    at_work: str = ""

    def dry_run(self) -> Verdict:
        """Prints what `run` would do and writes nothing."""
        try:
            missing = self.embedded_data and not self.data.exists()
            self._plan(None if missing else read_dataset(self.data))
        except DataError as error:
            self._tell(f"data refused: {error}")
            return Verdict.DATA_REFUSED
        except (ValueError, ImportError, OSError, RecordError, DiskSpaceError) as error:
            self._tell(f"error: {error}")
            return Verdict.FAILED
        self._tell("dry run: nothing was written")
        return Verdict.PARTIAL

    def run(self, log: Path) -> Verdict:
        """Runs the pipeline, prints its outcome, and writes `summary.json`.

        Args:
          log: Where the libraries' messages go, to be named.
        """
        runs.forget_latest(self.output)
        started = datetime.datetime.now().astimezone()
        message, is_interrupted = "", False
        try:
            with Interrupts() as interrupts:
                self._prepare_record()
                self.local_run = self._plan(self._open_dataset())
                self._run_nodes(self.local_run, interrupts)
            verdict = outcome.verdict(self._artifacts())
            message = REASONS.get(verdict, "")
        except DataError as error:
            verdict, message = Verdict.DATA_REFUSED, str(error)
        except (RecordError, DiskSpaceError) as error:
            verdict, message = Verdict.FAILED, str(error)
        except KeyboardInterrupt:
            verdict, message = Verdict.FAILED, "interrupted; the same command goes on from here"
            is_interrupted = True
        except Exception as error:
            logger.exception("the run failed")
            verdict, message = Verdict.FAILED, self._explained(error)
        summary = {
            "verdict": verdict.value,
            "message": message,
            "started": started.isoformat(sep=" ", timespec="seconds"),
            **self._summary(),
            "report": None,
            "log": str(log),
        }
        runs.write_summary(self.output, log.stem, summary)
        if self.local_run and not is_interrupted:
            self._report(self.local_run, log.stem, summary)
        conclude(summary, self.output, self._tell)
        return Verdict(summary["verdict"])

    def _explained(self, error: Exception) -> str:
        """Where the run failed, and why: a record that cannot be used stands above its errors."""
        why = f"{type(error).__name__}: {str(error)[:500]}"
        try:
            check_record(self.output)
            check_writable(self.output)
        except RecordError as cause:
            why = str(cause)
        return f"{self.at_work}: {why}" if self.at_work else why

    def _summary(self) -> dict[str, Any]:
        """What is known but for how the run ended."""
        return {
            "command": shlex.join(self.command),
            "data": str(self.data),
            "config": {
                f"{section}.{name}": str(value)
                for section, fields in self.config.told().items()
                for name, value in fields.items()
            },
            **outcome.summary(self._artifacts(), dataclasses.asdict(self.config.evaluator)),
            "components": {node.id: node.told() for node in self.nodes.values()},
        }

    def _report(self, local_run: LocalRun, name: str, summary: dict[str, Any]) -> None:
        """Has the report written; no run fails by it but one that was to do nothing else.

        Args:
          local_run: What carries out its node.
          name: The run's.
          summary: The run's; what came of the report is added.
        """
        try:
            with working(self.console, REPORT):
                node = local_run.run_node(REPORT, use_cache=False)
            summary["components"][REPORT] = node.told()
            summary["report"] = str(runs.keep_report(self.output, name, node))
            runs.write_summary(self.output, name, summary)
            runs.write_index(self.output)
        except (Exception, KeyboardInterrupt) as error:
            logger.exception("the report failed")
            message = f"no report: {type(error).__name__}: {str(error)[:500]}"
            if local_run.node_ids == [REPORT]:
                summary |= {"verdict": Verdict.FAILED.value, "message": message}
                runs.write_summary(self.output, name, summary)
            else:
                self._tell(message)
        else:
            self._tell(f"{REPORT:<21} {node.seconds:6.1f} s")

    def _artifacts(self) -> dict[str, list[types.Artifact]]:
        """What the nodes left, by the keys of the report's inputs."""
        return {
            key: self.nodes[node].outputs.get(output, [])
            for key, (node, output) in REPORTED.items()
            if node in self.nodes
        }

    def _prepare_record(self) -> None:
        check_record(self.output)
        aside = set_aside_artifacts(self.output)
        if aside:
            self._tell(
                f"{self.output / METADATA_FILE} is not there: every node runs again; what earlier "
                f"runs left is in {aside}"
            )

    def _open_dataset(self) -> Dataset:
        if self.embedded_data and not self.data.exists():
            from dataprep import digits  # loads scikit-learn, which no other run needs

            digits.write(self.data)
            self._tell(f"wrote scikit-learn's handwritten digits to {self.data}")
        return read_dataset(self.data)

    def _plan(self, dataset: Dataset | None) -> LocalRun:
        """Builds the pipeline and prints what will be run.

        Args:
          dataset: None if it is yet to be written.
        """
        if dataset:
            self.config = _with_classes(self.config, dataset)
        check_weights(self.config, self.output)
        output = self.output.resolve()
        paths = Paths(
            data=str(self.data.resolve()),
            artifacts=str(output / ARTIFACTS),
            serving=str(output / "serving" / PIPELINE_NAME),
            checkpoints=str(output / "checkpoints"),
            summary=str(output / runs.SUMMARY_FILE),
        )
        # TFX's own function for this makes the folder, also in a dry run.
        metadata = mlmd.proto.ConnectionConfig(
            sqlite=mlmd.proto.SqliteMetadataSourceConfig(
                filename_uri=str(output / METADATA_FILE),
                connection_mode=mlmd.proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE,
            )
        )
        pipeline = create_pipeline(self.config, paths, metadata_connection_config=metadata)
        local_run = LocalRun(pipeline, self.from_node, self.to_node)
        if local_run.needed_ids:
            earlier = History(self.output).newest_with(local_run.needed_ids).started
            local_run.take_from(earlier)
            self._tell(f"{'earlier':<10} nodes before {self.from_node}: of the run of {earlier}")
        space = disk_space(self.config, dataset, local_run.node_ids, self.output)
        self._tell_plan(dataset, local_run.node_ids, space)
        space.check()
        return local_run

    def _tell_plan(self, dataset: Dataset | None, node_ids: list[str], space: DiskSpace) -> None:
        num_classes = len(self.config.data.class_names)
        records = "to be written"
        if dataset:
            counts = ", ".join(f"{number:,} {split}" for split, number in dataset.records.items())
            classes = f"{num_classes} classes" if num_classes else "classes by label"
            records = f"{counts} examples, {classes}"
        for section, fields in self.config.told().items():
            values = "  ".join(f"{name}={value}" for name, value in fields.items())
            self._tell(f"{section:<10} {values}")
        self._tell(f"{'examples':<10} {self.data}: {records}")
        self._tell(f"{'device':<10} {devices.describe()}")
        precision = devices.precision(self.config.trainer.precision)
        self._tell(f"{'precision':<10} {precision}")
        self._tell(f"{'output':<10} {self.output}")
        self._tell(f"{'disk':<10} {space.described()}")
        self._tell(f"{'nodes':<10} {' → '.join(node_ids)}\n")

    def _run_nodes(self, local_run: LocalRun, interrupts: Interrupts) -> None:
        last = runs.last_seconds(self.output) if self.console.is_terminal else {}
        self.nodes.update({node.id: node for node in local_run.reuse()})
        for node_id in [node for node in local_run.node_ids if node != REPORT]:
            interrupts.raise_if_any()
            self.at_work = node_id
            with working(self.console, node_id, last.get(node_id)):
                node = local_run.run_node(node_id, use_cache=node_id not in NEVER_CACHED)
            self.nodes[node_id] = node
            self._tell(f"{node_id:<21} {'cached' if node.cached else f'{node.seconds:6.1f} s'}")
            if node_id == TUNER:
                [results] = node.outputs[keys.TRIALS]
                self._tell(table(read_trials(results.uri)))
        self.at_work = ""

    def _tell(self, text: str) -> None:
        self.console.print(text)


def _with_classes(config: Config, dataset: Dataset) -> Config:
    """The config with what the data set says of its classes, where that is not given already.

    Raises:
      DataError: It does not go with what is given.
    """
    class_names = config.data.class_names or dataset.class_names or ()
    synsets = config.data.synsets or dataset.synsets or ()
    check_number(str(dataset.path), class_names, synsets)
    data = dataclasses.replace(config.data, class_names=class_names, synsets=synsets)
    return dataclasses.replace(config, data=data)
