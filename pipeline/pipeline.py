"""The DAG, read from top to bottom. Both runners call `create_pipeline`."""

import dataclasses
from pathlib import Path

import ml_metadata as mlmd
from tfx import v1 as tfx
from tfx.components import DistributionValidator

from components import record
from components.anomaly_gate import AnomalyGate, skew_config, statistics_options
from components.champion import CANDIDATE, MODEL, MODEL_BLESSING, ChampionStrategy
from components.data_gate import DataGate
from components.evaluator import eval_config
from components.example_gen import GatedExampleGen
from components.pusher import AtomicPusher
from components.record_check import Rules
from components.schema import CuratedSchema
from components.serving_gate import ServingGate
from components.source_digest import source_digest
from pipeline.config import IN_PROCESS_RUNNER, BeamConfig, Config

PIPELINE_NAME = record.MODEL_NAME
SCHEMA = Path(__file__).with_name("schema.pbtxt")


@dataclasses.dataclass(frozen=True)
class Paths:
    """Where a run reads and writes; folders or URIs.

    Attributes:
      data: The data set's folder.
      artifacts: What the components hand to each other.
      serving: The folder of versions that TF Serving polls.
      checkpoints: Where an interrupted training is taken up again.
    """

    data: str
    artifacts: str
    serving: str
    checkpoints: str


def create_pipeline(
    config: Config,
    paths: Paths,
    metadata_connection_config: mlmd.proto.ConnectionConfig | None = None,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline.

    Args:
      config: Every number of it.
      paths: Every folder of it.
      metadata_connection_config: Where a local run keeps its record; Kubeflow has its own.
    """
    example_gen = GatedExampleGen(
        input_base=paths.data,
        rules=Rules(
            num_classes=config.data.num_classes,
            synsets=config.data.synsets,
            min_side=config.data.min_side,
            max_pixels=config.data.max_pixels,
        ),
        source=source_digest(
            "components/example_gen.py",
            "components/data_report.py",
            "components/record.py",
            "components/record_check.py",
            "components/tfrecord.py",
        ),
    ).with_id("ImportExampleGen")
    examples = example_gen.outputs["examples"]

    data_gate = DataGate(
        report=example_gen.outputs["report"],
        data=paths.data,
        num_classes=config.data.num_classes,
        max_bad_share=config.data.max_bad_share,
        require_all_classes=config.data.require_all_classes,
    )

    schema_gen = CuratedSchema(text=SCHEMA.read_text())
    schema = schema_gen.outputs["schema"]

    statistics_gen = tfx.components.StatisticsGen(
        examples=examples, schema=schema, stats_options=statistics_options()
    )
    statistics_gen.add_upstream_node(data_gate)
    statistics = statistics_gen.outputs["statistics"]

    example_validator = tfx.components.ExampleValidator(statistics=statistics, schema=schema)

    distribution_validator = DistributionValidator(
        statistics=statistics,
        baseline_statistics=statistics,
        config=skew_config(config.data.max_skew),
        include_split_pairs=[(record.VAL, record.TRAIN)],
    )

    anomaly_gate = AnomalyGate(
        anomalies=example_validator.outputs["anomalies"],
        skew=distribution_validator.outputs["anomalies"],
        refuse=config.data.refuse_anomalies,
    )

    transform = tfx.components.Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=[record.TRAIN], transform=record.SPLITS),
        materialize=config.transform.materialize,
        # StatisticsGen describes the data; statistics of normalised pixels tell nobody anything.
        disable_statistics=True,
        custom_config={
            **dataclasses.asdict(config.image),
            "source": source_digest("components/transform.py", "components/record.py"),
        },
    )
    transform.add_upstream_node(anomaly_gate)

    materialized = config.transform.materialize
    model_source = source_digest(
        "components/trainer", "components/transform.py", "components/record.py", "models"
    )
    trainer = tfx.components.Trainer(
        run_fn="components.trainer.run_fn",
        examples=transform.outputs["transformed_examples"] if materialized else examples,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        train_args=tfx.proto.TrainArgs(splits=[record.TRAIN]),
        eval_args=tfx.proto.EvalArgs(splits=[record.VAL]),
        custom_config={
            "trainer": dataclasses.asdict(config.trainer),
            "model": dataclasses.asdict(config.model),
            "class_names": config.data.class_names,
            "materialized": materialized,
            "checkpoints": paths.checkpoints,
            "source": model_source,
        },
    )
    model = trainer.outputs["model"]

    thresholds = dataclasses.asdict(config.evaluator)
    champion = tfx.dsl.Resolver(
        strategy_class=ChampionStrategy,
        config={"reset": thresholds.pop("reset_champion")},
        **{
            MODEL: tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
            MODEL_BLESSING: tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
            CANDIDATE: model,
        },
    ).with_id("Champion")

    evaluator = tfx.components.Evaluator(
        examples=examples,
        example_splits=[record.VAL],
        model=model,
        baseline_model=champion.outputs[MODEL],
        eval_config=eval_config(**thresholds),
    )

    serving_gate = ServingGate(
        model=model,
        model_run=trainer.outputs["model_run"],
        source=source_digest(
            "components/serving_gate.py", "components/serving_probe.py", "components/record.py"
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
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=paths.serving)
        ),
        keep_versions=config.pusher.keep_versions,
        source=model_source,
    ).with_id("Pusher")

    return tfx.dsl.Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=paths.artifacts,
        components=[
            example_gen,
            data_gate,
            schema_gen,
            statistics_gen,
            example_validator,
            distribution_validator,
            anomaly_gate,
            transform,
            trainer,
            champion,
            evaluator,
            serving_gate,
            pusher,
        ],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=beam_pipeline_args(config.beam),
    )


def beam_pipeline_args(config: BeamConfig) -> list[str]:
    """Beam's flags for all components."""
    args = [f"--runner={config.runner}", *config.args]
    if config.runner == IN_PROCESS_RUNNER:
        # Unless told that the workers have TFX, TFX packs itself anew for each component (1.2 s),
        # and leaves the package in the temporary folder. These workers are this process.
        args.append("--sdk_container_image=this-process")
    return args
