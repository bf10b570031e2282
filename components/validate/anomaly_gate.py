"""AnomalyGate: stops the run for what TFX's validators found, which they themselves only record."""

import logging
from collections.abc import Iterator

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.distribution_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.proto import distribution_validator_pb2
from tfx.types import standard_artifacts

from dataset import record
from dataset.errors import DataError, listed

NAMED_ANOMALIES = 20

# Both splits should have the classes in like shares, and be of the same kind of image. Widths and
# heights are not compared: of numbers TFDV says 1 where one split has one value and the other two.
COMPARED = (record.LABEL, record.FORMAT, record.COLORSPACE)

logger = logging.getLogger(__name__)


@component
def AnomalyGate(  # noqa: N802  (TFX names a component's node after its function)
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    skew: InputArtifact[standard_artifacts.ExampleAnomalies],
    refuse: Parameter[bool],
) -> None:
    """Judges the anomalies.

    Args:
      anomalies: ExampleValidator's: what is not as the schema wants it.
      skew: DistributionValidator's, of the validation split against the training split.
      refuse: Whether they stop the run; otherwise they are reported.

    Raises:
      DataError: There are some, and `refuse` is set.
    """
    found = [*describe(anomalies), *describe(skew)]
    if not found:
        return
    lines = f"anomalies in the data:\n  {listed(found, NAMED_ANOMALIES, _LINE)}"
    if refuse:
        raise DataError(f"{lines}\nRepair the data, or set --data.refuse_anomalies False")
    logger.warning("%s", lines)


_LINE = "\n  "


def describe(artifact: types.Artifact) -> Iterator[str]:
    """A line for each anomaly of each split: split, feature, and what is wrong."""
    # `Split-train`, or `SplitPair-val_train`.
    for path in sorted(fileio.glob(f"{artifact.uri}/*/{DEFAULT_FILE_NAME}")):
        split = path.split("/")[-2].split("-", 1)[1]
        with fileio.open(path, "rb") as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        for reason in anomalies.dataset_anomaly_info.reason:
            yield f"{split}: {reason.description}"
        for feature, info in sorted(anomalies.anomaly_info.items()):
            for reason in info.reason:
                # Not every data set has every feature.
                if reason.type != anomalies_pb2.AnomalyInfo.STATS_NOT_AVAILABLE:
                    yield f"{split}: `{feature}`: {reason.description}"


def skew_config(max_skew: float) -> distribution_validator_pb2.DistributionValidatorConfig:
    """What DistributionValidator is to compare.

    Args:
      max_skew: Greatest Jensen-Shannon divergence of a feature between two splits, 0..1.
    """
    config = distribution_validator_pb2.DistributionValidatorConfig()
    for name in COMPARED:
        feature = config.default_slice_config.feature.add()
        feature.path.step.append(name)
        feature.distribution_comparator.jensen_shannon_divergence.threshold = max_skew
    return config


def statistics_options() -> tfdv.StatsOptions:
    """StatisticsGen's options.

    TFDV keeps the thousand most frequent values of a feature: of more classes, two splits would
    seem to have different ones. File names are left out, of which each is another.
    """
    return tfdv.StatsOptions(
        num_rank_histogram_buckets=100_000,
        feature_allowlist=[
            record.IMAGE,
            record.SYNSET,
            *COMPARED,
            record.HEIGHT,
            record.WIDTH,
            record.CHANNELS,
        ],
    )
