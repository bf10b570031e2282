"""The DAG, read from top to bottom. Both runners call `create_pipeline`."""

import dataclasses
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from tfx.components import ExampleValidator, StatisticsGen, Transform
from tfx.dsl.components.base import base_node
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.transform_pb2 import SplitsConfig

from components.evaluate.champion import MODEL
from components.evaluate.evaluator import GuardedEvaluator, eval_config
from components.ingest.example_gen import GatedExampleGen
from components.ingest.fingerprint import FolderFingerprint
from components.push.pusher import AtomicPusher
from components.push.serving_gate import ServingGate
from components.report.component import RunReport
from components.train.component import FishNetTrainer
from components.tune.component import FishNetTuner
from components.validate.anomaly_gate import AnomalyGate, skew_config, statistics_options
from components.validate.data_gate import DataGate
from components.validate.distribution_validator import PortableDistributionValidator
from components.validate.schema import CuratedSchema
from dataset import record
from dataset.record_check import Rules
from pipeline import champions
from pipeline.beam_options import beam_pipeline_args
from pipeline.config import Config
from pipeline.initial_weights import described
from pipeline.nodes import REPORT, TUNER
from pipeline.reported import REPORTED
from pipeline.source_digest import source_digest
from pipeline.target import Target
from served_model import interface

PIPELINE_NAME = interface.MODEL_NAME
CLUSTERS_RUN = "{{$.pipeline_job_uuid}}"  # a parameter of this value gets the run's id on a cluster
SCHEMA = Path(__file__).with_name("schema.pbtxt")


@dataclasses.dataclass(frozen=True)
class Paths:
    """Where a run reads and writes; folders or URIs.

    Attributes:
      data: The data set's folder.
      artifacts: What the components hand to each other.
      serving: The folder of versions that TF Serving polls.
      checkpoints: Where an interrupted training is taken up again; empty if nowhere.
      summary: File with what the runner knows of the run, for the report; empty if there is none.
    """

    data: str
    artifacts: str
    serving: str
    checkpoints: str
    summary: str = ""


def create_pipeline(
    config: Config,
    paths: Paths,
    *,
    target: Target = Target.LOCAL,
    image: str = "",
    metadata_connection_config: mlmd.proto.ConnectionConfig | None = None,
) -> Pipeline:
    """Builds the pipeline.

    Args:
      config: Every number of it.
      paths: Every folder of it.
      target: What carries it out. On a cluster the data's folder, the epochs, the learning rate and
        the serving folder are parameters of a run, of which the given ones are the defaults.
      image: Of the container that a cluster runs the components in.
      metadata_connection_config: Where a local run keeps its record; Kubeflow has its own.
    """
    data = _of_run(target, "data", paths.data)
    destination = _of_run(target, "push_destination", paths.serving)

    cluster_only: list[base_node.BaseNode] = []
    fingerprint = None
    if target is not Target.LOCAL:  # TFX's own driver looks at the folder in a local run
        folder_fingerprint = FolderFingerprint(data=data)
        fingerprint = folder_fingerprint.outputs["fingerprint"].future()[0].value
        cluster_only.append(folder_fingerprint)

    example_gen = GatedExampleGen(
        input_base=data,
        rules=Rules(
            synsets=config.data.synsets,
            min_side=config.data.min_side,
            max_pixels=config.data.max_pixels,
        ),
        class_names=config.data.class_names,
        file_mb=config.data.file_mb,
        fingerprint=fingerprint,
        source=source_digest("components/ingest", "components/transform/image.py", "dataset"),
    ).with_id("ImportExampleGen")
    examples = example_gen.outputs["examples"]

    data_gate = DataGate(
        report=example_gen.outputs["report"],
        data=data,
        max_bad_share=config.data.max_bad_share,
        require_all_classes=config.data.require_all_classes,
    )

    schema_gen = CuratedSchema(text=SCHEMA.read_text())
    schema = schema_gen.outputs["schema"]

    statistics_gen = StatisticsGen(
        examples=examples, schema=schema, stats_options=statistics_options()
    )
    statistics_gen.add_upstream_node(data_gate)
    statistics = statistics_gen.outputs["statistics"]

    example_validator = ExampleValidator(statistics=statistics, schema=schema)

    distribution_validator = PortableDistributionValidator(
        statistics=statistics,
        baseline_statistics=statistics,
        config=skew_config(config.data.max_skew),
        include_split_pairs=[(record.VAL, record.TRAIN)],
    ).with_id("DistributionValidator")

    anomaly_gate = AnomalyGate(
        anomalies=example_validator.outputs["anomalies"],
        skew=distribution_validator.outputs["anomalies"],
        refuse=config.data.refuse_anomalies,
    )

    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=SplitsConfig(analyze=[record.TRAIN], transform=record.SPLITS),
        materialize=config.transform.materialize,
        # StatisticsGen describes the data; statistics of normalised pixels are of no use.
        disable_statistics=True,
        custom_config={
            **dataclasses.asdict(config.image),
            "source": source_digest("components/transform", "dataset/record.py"),
        },
    )
    transform.add_upstream_node(anomaly_gate)

    materialized = config.transform.materialize
    hparams = dataclasses.asdict(config.trainer)
    model_source = source_digest(
        "components/train",
        "components/transform",
        "dataset/record.py",
        "models",
        "served_model/interface.py",
    )
    warm_starts = champions.warm_starts(config)
    training: dict[str, Any] = {
        "examples": transform.outputs["transformed_examples"] if materialized else examples,
        "transform_graph": transform.outputs["transform_graph"],
        "schema": schema,
        "report": example_gen.outputs["report"],
        "epochs": _of_run(target, "epochs", hparams.pop("epochs")),
        "learning_rate": _of_run(target, "learning_rate", hparams.pop("learning_rate")),
        **({"base_model": warm_starts[0].outputs[MODEL]} if warm_starts else {}),
    }
    custom_config = {
        "trainer": hparams,
        "augment": dataclasses.asdict(config.augment),
        "model": dataclasses.asdict(config.model),
        "weights": described(config.model.weights, target),
        "materialized": materialized,
        "checkpoints": paths.checkpoints,
        "source": model_source,
    }
    tuner = None
    if config.tuner.enable:
        tuner = FishNetTuner(
            **training,
            custom_config={
                **custom_config,
                "tuner": dataclasses.asdict(config.tuner),
                "space": config.tuner.space,
                "tuner_source": source_digest("components/tune"),
            },
        ).with_id(TUNER)

    trainer = FishNetTrainer(
        **training,
        hyperparameters=tuner.outputs["best_hyperparameters"] if tuner else None,
        custom_config=custom_config,
    ).with_id("Trainer")
    model = trainer.outputs["model"]

    thresholds = dataclasses.asdict(config.evaluator)
    reset = thresholds.pop("reset_champion")
    compared = champions.champions(target, model, destination, reset)

    evaluator = GuardedEvaluator(
        examples=examples,
        example_splits=[record.VAL],
        model=model,
        baseline_model=compared[0].outputs[MODEL] if compared else None,
        eval_config=eval_config(**thresholds),
    ).with_id("Evaluator")

    serving_gate = ServingGate(
        model=model,
        model_run=trainer.outputs["model_run"],
        source=source_digest(
            "components/push/serving_gate.py",
            "components/push/serving_probe.py",
            "served_model/interface.py",
        ),
        **dataclasses.asdict(config.serving),
    )
    serving_gate.add_upstream_node(evaluator)

    pusher = AtomicPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_gate.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        data_report=example_gen.outputs["report"],
        destination=destination,
        keep_versions=config.pusher.keep_versions,
        source=model_source,
        pipeline=PIPELINE_NAME,
        run=None if target is Target.LOCAL else CLUSTERS_RUN,
    ).with_id("Pusher")

    components = [
        *cluster_only,
        example_gen,
        data_gate,
        schema_gen,
        statistics_gen,
        example_validator,
        distribution_validator,
        anomaly_gate,
        transform,
        *warm_starts,
        *([tuner] if tuner else []),
        trainer,
        *compared,
        evaluator,
        serving_gate,
        pusher,
    ]
    return Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=paths.artifacts,
        components=[*components, _report(components, config, target, paths.summary)],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=beam_pipeline_args(
            config.beam, image, roots=(paths.data, paths.artifacts)
        ),
    )


def _report(
    components: list[base_node.BaseNode], config: Config, target: Target, summary: str
) -> base_node.BaseNode:
    """The report of what these components leave."""
    made = {component.id: component for component in components}
    channels = {
        key: made[node].outputs[output] for key, (node, output) in REPORTED.items() if node in made
    }
    report = RunReport(
        config=config.told(),
        epochs=_of_run(target, "epochs", config.trainer.epochs),
        learning_rate=_of_run(target, "learning_rate", config.trainer.learning_rate),
        summary=summary,
        **channels,
    )
    return report.with_id(REPORT)


def _of_run(target: Target, name: str, value: Any) -> Any:
    """`value`; on a cluster the run's parameter `name`, of which it is the default."""
    if target is Target.LOCAL:
        return value
    return RuntimeParameter(name=name, ptype=type(value), default=value)
