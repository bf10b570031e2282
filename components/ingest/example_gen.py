"""ImportExampleGen that checks what it reads: bad records are set aside, the rest are mixed.

The checks are inside ImportExampleGen's executor, TFX's extension point for this, since they read
every record anyway: a component behind it would read all data again and write a second copy of
them, and a shard that is cut short would end ImportExampleGen with Beam's stack trace before that.
"""

import dataclasses
import glob
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.components import ImportExampleGen
from tfx.components.example_gen.import_example_gen import executor as import_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.dsl.placeholder import placeholder
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils

from components.ingest import reading, shuffle
from components.ingest.report import (
    QUARANTINE_FILE,
    QUARANTINED_RECORDS,
    REPORT_FILE,
    DataReport,
    Report,
)
from dataset import record
from dataset.class_names import check_number, parse_class_names
from dataset.manifest import parse_manifest
from dataset.record_check import Rules

RULES = "rules"  # parameter: JSON of the fields of `Rules`
CLASS_NAMES = "class_names"  # parameter: JSON of a list
FILE_MB = "file_mb"  # parameter
FINGERPRINT = "folder_fingerprint"  # parameter, for the cache's key alone
SOURCE = "source"  # parameter: digest of this code
REPORT = "report"  # output


class Executor(import_executor.Executor):
    """TFX's executor, with a reader that checks and a shuffle in flat memory."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the base class."""
        self._report_uri = artifact_utils.get_single_uri(output_dict[REPORT])
        examples = output_dict[standard_component_specs.EXAMPLES_KEY]
        self._examples_uri = artifact_utils.get_single_uri(examples)
        # What lies on the disk meanwhile; beside the outputs, since there all workers may write.
        self._scratch = f"{self._examples_uri}/.scratch"
        try:
            super().Do(input_dict, output_dict, exec_properties)
            self._join_quarantine()
        finally:
            if fileio.exists(self._scratch):
                fileio.rmtree(self._scratch)

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Writes both artifacts; leaves nothing for the base class, whose shuffle is in memory."""
        pattern = exec_properties[standard_component_specs.INPUT_BASE_KEY]
        rules, class_names = _with_classes(
            Rules(**json.loads(exec_properties[RULES])),
            json.loads(exec_properties[CLASS_NAMES]),
            re.sub(r"\[([*?[])\]", r"\1", pattern),  # takes glob.escape back
        )
        shards = list(reading.find_shards(pattern))
        file_bytes = exec_properties[FILE_MB] * 10**6
        files = shuffle.plan_files(reading.split_bytes(shards), file_bytes)
        outputs = (
            pipeline
            | "Shards" >> beam.Create(shards)
            | "ReadShard" >> beam.ParDo(reading.ReadShard(rules)).with_outputs(*reading.OUTPUTS)
        )
        outputs[reading.GOOD_RECORDS] | "Shuffle" >> shuffle.WriteShuffled(
            files, self._examples_uri, f"{self._scratch}/runs", file_bytes
        )
        self._write_report(outputs, rules.num_classes, class_names)
        return {}

    def _write_report(
        self, outputs: beam.pvalue.DoOutputsTuple, num_classes: int, class_names: Sequence[str]
    ) -> None:
        """Writes the report and the bad records, of QUARANTINE_FILE only parts.

        Args:
          outputs: Those of ReadShard.
          num_classes: For the report.
          class_names: For the report.
        """
        leaked = (
            outputs[reading.IMAGES]
            | "GroupImages" >> beam.GroupByKey()
            | "ReportLeaked" >> beam.MapTuple(lambda _, images: reading.leaked(images))
        )
        (
            (outputs[reading.REPORTS], leaked)
            | "Reports" >> beam.Flatten()
            | "MergeReports" >> beam.CombineGlobally(_MergeReports())
            | "AddClasses"
            >> beam.Map(dataclasses.replace, class_names=class_names, num_classes=num_classes)
            | "ReportToJson" >> beam.Map(Report.to_json)
            | "WriteReport"
            >> beam.io.WriteToText(f"{self._report_uri}/{REPORT_FILE}", shard_name_template="")
        )
        # Beam would gather them in memory to write one file.
        outputs[reading.BAD_PLACES] | "WriteBadPlaces" >> beam.io.WriteToText(
            f"{self._scratch}/{QUARANTINE_FILE}"
        )
        outputs[reading.BAD_RECORDS] | "WriteBadRecords" >> beam.io.WriteToTFRecord(
            f"{self._report_uri}/{QUARANTINED_RECORDS}", file_name_suffix=".tfrecord"
        )

    def _join_quarantine(self) -> None:
        """Makes one file of the parts that the workers wrote of QUARANTINE_FILE."""
        parts = [n for n in fileio.listdir(self._scratch) if n.startswith(f"{QUARANTINE_FILE}-")]
        with fileio.open(f"{self._report_uri}/{QUARANTINE_FILE}", "wb") as whole:
            whole.write(b"")  # TensorFlow's files come into being with the first write
            for name in sorted(parts):
                with fileio.open(f"{self._scratch}/{name}", "rb") as part:
                    shutil.copyfileobj(part, whole)


class GatedExampleGen(ImportExampleGen):
    """ImportExampleGen with the executor above.

    Its outputs are `examples`, the good records, and `report`, a `DataReport`. For what the records
    are it never fails: DataGate decides by the report, which a failed component would not leave.

    Args:
      input_base: The data set's folder.
      rules: What records must keep to, its classes too, or what is known of these beforehand. The
        rest is read from the folder's `labels.txt` and manifest.
      class_names: Likewise, in label order.
      file_mb: The size of a file of examples, 10⁶ bytes; a worker holds as much in memory.
      source: Digest of this code.
      fingerprint: Of the folder, where TFX's driver does not look at it before the cache is asked.
    """

    class SPEC_CLASS(standard_component_specs.FileBasedExampleGenSpec):  # noqa: D106, N801
        PARAMETERS = {  # noqa: RUF012
            **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
            RULES: component_spec.ExecutionParameter(type=str),
            CLASS_NAMES: component_spec.ExecutionParameter(type=str),
            FILE_MB: component_spec.ExecutionParameter(type=int),
            FINGERPRINT: component_spec.ExecutionParameter(type=str, optional=True),
            SOURCE: component_spec.ExecutionParameter(type=str),
        }
        OUTPUTS = {  # noqa: RUF012
            **standard_component_specs.FileBasedExampleGenSpec.OUTPUTS,
            REPORT: component_spec.ChannelParameter(type=DataReport),
        }

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        input_base: str | RuntimeParameter,
        rules: Rules,
        class_names: Sequence[str],
        file_mb: int,
        source: str,
        fingerprint: placeholder.Placeholder | None = None,
    ) -> None:
        if isinstance(input_base, str):  # the driver and the executor match patterns in it
            input_base = glob.escape(input_base)
        splits = [
            example_gen_pb2.Input.Split(name=split, pattern=record.shard_pattern(split))
            for split in record.SPLITS
        ]
        spec = self.SPEC_CLASS(
            input_base=input_base,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=example_gen_pb2.Output(),  # the same splits
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            rules=json.dumps(dataclasses.asdict(rules)),
            class_names=json.dumps(class_names),
            file_mb=file_mb,
            folder_fingerprint=fingerprint,
            source=source,
            examples=types.Channel(type=standard_artifacts.Examples),
            report=types.Channel(type=DataReport),
        )
        # The constructors between would build a spec of their own.
        base_beam_component.BaseBeamComponent.__init__(self, spec=spec)


def _with_classes(
    rules: Rules, class_names: Sequence[str], folder: str
) -> tuple[Rules, tuple[str, ...]]:
    """The rules and class names with what the data set's `folder` says, where it is not given.

    Raises:
      DataError: `labels.txt` or the manifest is faulty, or does not go with what is given.
    """
    manifest_file = f"{folder}/{record.MANIFEST_FILE}"
    labels_file = f"{folder}/{record.LABELS_FILE}"
    manifest = None
    if fileio.exists(manifest_file):
        manifest = parse_manifest(io_utils.read_bytes_file(manifest_file), manifest_file)
    synsets = rules.synsets or (manifest.synsets if manifest else ())
    if not class_names and fileio.exists(labels_file):
        content = io_utils.read_bytes_file(labels_file)
        class_names = parse_class_names(content, labels_file, manifest)
    check_number(folder, class_names, synsets)
    num_classes = len(class_names or synsets)
    return dataclasses.replace(rules, num_classes=num_classes, synsets=synsets), tuple(class_names)


class _MergeReports(beam.CombineFn):
    def create_accumulator(self) -> Report:
        return Report()

    def add_input(self, accumulator: Report, element: Report) -> Report:
        accumulator.merge(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Report]) -> Report:
        merged = Report()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: Report) -> Report:
        return accumulator
