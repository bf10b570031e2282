"""ImportExampleGen that checks what it reads: bad records are set aside, the rest pass on.

The checks are inside ImportExampleGen's executor, TFX's extension point for this, since they read
every record anyway: a component behind it would read all data again and write a second copy of
them, and a shard that is cut short would end ImportExampleGen with Beam's stack trace before that.
"""

import collections
import dataclasses
import glob
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from tfx import types
from tfx import v1 as tfx
from tfx.components.example_gen.import_example_gen import executor as import_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.dsl.placeholder import placeholder
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils

from components.ingest.report import (
    QUARANTINE_FILE,
    QUARANTINED_RECORDS,
    REPORT_FILE,
    DataReport,
    Report,
)
from components.transform.image import decodes
from dataset import record
from dataset.class_names import parse_class_names
from dataset.errors import DataError
from dataset.manifest import Shard, parse_manifest
from dataset.record_check import CheckedRecord, Problem, Rules, check_all
from dataset.tfrecord import CorruptShardError, HashingReader, read_records

RULES = "rules"  # parameter: JSON of the fields of `Rules`
CLASS_NAMES = "class_names"  # parameter: JSON of a list
FINGERPRINT = "folder_fingerprint"  # parameter, for the cache's key alone
SOURCE = "source"  # parameter: digest of this code
REPORT = "report"  # output

PARTS = 16  # of all images, by their digest; each is searched for duplicates by itself

# Outputs of _ReadShard; the good records of a split are under the split's name.
REPORTS = "reports"  # Report, one for each shard
IMAGES = "images"  # (part, (split, digests of a shard's images that are in this part))
BAD_PLACES = "bad_places"  # str: lines of quarantine.jsonl
BAD_RECORDS = "bad_records"  # bytes: the records that they tell of


class Executor(import_executor.Executor):
    """TFX's executor, with a reader that checks."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the base class."""
        self._report_uri = artifact_utils.get_single_uri(output_dict[REPORT])
        super().Do(input_dict, output_dict, exec_properties)

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """See the base class; also writes what goes to the report's artifact."""
        pattern = exec_properties[standard_component_specs.INPUT_BASE_KEY]
        rules, class_names = _with_classes(
            Rules(**json.loads(exec_properties[RULES])),
            json.loads(exec_properties[CLASS_NAMES]),
            re.sub(r"\[([*?[])\]", r"\1", pattern),  # takes glob.escape back
        )
        shards = list(_find_shards(pattern))
        outputs = (
            pipeline
            | "Shards" >> beam.Create(shards)
            | "ReadShard"
            >> beam.ParDo(_ReadShard(rules)).with_outputs(
                REPORTS, IMAGES, BAD_PLACES, BAD_RECORDS, *record.SPLITS
            )
        )
        leaked = (
            outputs[IMAGES]
            | "GroupImages" >> beam.GroupByKey()
            | "ReportLeaked" >> beam.MapTuple(lambda _, images: _leaked(images))
        )
        uri = self._report_uri
        (
            (outputs[REPORTS], leaked)
            | "Reports" >> beam.Flatten()
            | "MergeReports" >> beam.CombineGlobally(_MergeReports())
            | "AddClasses"
            >> beam.Map(dataclasses.replace, class_names=class_names, num_classes=rules.num_classes)
            | "ReportToJson" >> beam.Map(Report.to_json)
            | "WriteReport" >> beam.io.WriteToText(f"{uri}/{REPORT_FILE}", shard_name_template="")
        )
        outputs[BAD_PLACES] | "WriteBadPlaces" >> beam.io.WriteToText(
            f"{uri}/{QUARANTINE_FILE}", shard_name_template=""
        )
        outputs[BAD_RECORDS] | "WriteBadRecords" >> beam.io.WriteToTFRecord(
            f"{uri}/{QUARANTINED_RECORDS}", file_name_suffix=".tfrecord"
        )
        return {split: outputs[split] for split in record.SPLITS}


class GatedExampleGen(tfx.components.ImportExampleGen):
    """ImportExampleGen with the executor above.

    Its outputs are `examples`, the good records, and `report`, a `DataReport`. For what the records
    are it never fails: DataGate decides by the report, which a failed component would not leave.

    Args:
      input_base: The data set's folder.
      rules: What records must keep to, its classes too, or what is known of these beforehand. The
        rest is read from the folder's `labels.txt` and manifest.
      class_names: Likewise, in label order.
      source: Digest of this code.
      fingerprint: Of the folder, where TFX's driver does not look at it before the cache is asked.
    """

    class SPEC_CLASS(standard_component_specs.FileBasedExampleGenSpec):  # noqa: D106, N801
        PARAMETERS = {  # noqa: RUF012
            **standard_component_specs.FileBasedExampleGenSpec.PARAMETERS,
            RULES: component_spec.ExecutionParameter(type=str),
            CLASS_NAMES: component_spec.ExecutionParameter(type=str),
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
        input_base: str | tfx.dsl.experimental.RuntimeParameter,
        rules: Rules,
        class_names: Sequence[str],
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
    if class_names and synsets and len(class_names) != len(synsets):
        raise DataError(
            f"{folder}: there are {len(class_names)} class names for {len(synsets)} classes. Give "
            "each class a name, in labels.txt or by --data.class_names"
        )
    num_classes = len(class_names or synsets)
    return dataclasses.replace(rules, num_classes=num_classes, synsets=synsets), tuple(class_names)


def _find_shards(folder: str) -> Iterator[tuple[str, str, str]]:
    """Yields the split, path and name inside the data set's `folder` of each shard."""
    for split in record.SPLITS:
        [match] = FileSystems.match([FileSystems.join(folder, record.shard_pattern(split))])
        for metadata in sorted(match.metadata_list, key=lambda metadata: metadata.path):
            name = FileSystems.split(metadata.path)[1]
            yield split, metadata.path, f"{split}/{name}"


class _ReadShard(beam.DoFn):
    """Reads a shard and checks its records."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def process(self, element: tuple[str, str, str]) -> Iterator[beam.pvalue.TaggedOutput]:
        split, path, name = element
        report = Report()
        images: dict[int, list[bytes]] = collections.defaultdict(list)  # part → digests
        number = 0
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as opened:
            file = HashingReader(opened)
            try:
                for serialized, found in check_all(read_records(file), self._rules, decodes):
                    report.add(split, found)
                    if found.problem is None:
                        digest = found.image_digest
                        images[digest[0] % PARTS].append(digest)
                        yield beam.pvalue.TaggedOutput(split, serialized)
                    else:
                        line = _bad_line(found, found.problem, name, number)
                        yield beam.pvalue.TaggedOutput(BAD_PLACES, line)
                        yield beam.pvalue.TaggedOutput(BAD_RECORDS, serialized)
                    number += 1
            except CorruptShardError as error:
                report.faults[name] = str(error)
            file.drain()
        report.shards[name] = Shard(file.bytes, number, file.sha256.hexdigest())
        yield beam.pvalue.TaggedOutput(REPORTS, report)
        for part, digests in images.items():
            yield beam.pvalue.TaggedOutput(IMAGES, (part, (split, digests)))


def _bad_line(found: CheckedRecord, problem: Problem, shard: str, index: int) -> str:
    """A line of quarantine.jsonl: the record `index`, from 0, of `shard` and what is wrong."""
    fields = {
        "shard": shard,
        "index": index,
        "name": found.name,
        "label": found.label or None,
        "reason": problem.reason,
        "detail": problem.detail,
    }
    return json.dumps(fields, ensure_ascii=False)


def _leaked(images: Iterable[tuple[str, list[bytes]]]) -> Report:
    """Reports how many of the validation split's images the training split has too.

    Args:
      images: Splits with digests of images.
    """
    train: set[bytes] = set()
    val: collections.Counter[bytes] = collections.Counter()
    for split, digests in images:
        (train if split == record.TRAIN else val).update(digests)
    return Report(leaked=sum(number for digest, number in val.items() if digest in train))


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
