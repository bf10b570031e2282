"""TFX's DistributionValidator, for Kubeflow too."""

from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components import DistributionValidator
from tfx.components.distribution_validator import executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import distribution_validator_pb2
from tfx.types.standard_component_specs import DISTRIBUTION_VALIDATOR_CONFIG_KEY as CONFIG

Artifacts = dict[str, list[types.Artifact]]


class Executor(executor.Executor):
    """TFX's executor, which takes its config as a proto; Kubeflow gives it as JSON."""

    def Do(  # noqa: N802
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See the base class."""
        config = exec_properties[CONFIG]
        if isinstance(config, str):
            config = json_format.Parse(
                config, distribution_validator_pb2.DistributionValidatorConfig()
            )
        super().Do(input_dict, output_dict, {**exec_properties, CONFIG: config})


class PortableDistributionValidator(DistributionValidator):
    """TFX's component with the executor above."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
