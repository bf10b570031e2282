"""What the import's tests share: images, and the component's executor."""

from pathlib import Path

import numpy as np
import pytest
from ingested import IN_PROCESS, RULES, Ran
from tfx.types import standard_artifacts

from components.ingest.example_gen import GatedExampleGen
from components.ingest.report import DataReport
from dataset.record_check import Rules


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function: the data set's folder → what the component's executor made of it."""

    def run(
        data: Path,
        rules: Rules = RULES,
        class_names: tuple[str, ...] = (),
        beam_args: tuple[str, ...] = IN_PROCESS,
        file_mb: int = 128,
    ) -> Ran:
        output = tmp_path_factory.mktemp("executed")
        examples, report = standard_artifacts.Examples(), DataReport()
        examples.uri, report.uri = str(output / "examples"), str(output / "report")
        Path(report.uri).mkdir()
        node = GatedExampleGen(str(data), rules, class_names, file_mb, source="")
        executor_class = node.EXECUTOR_SPEC.executor_class
        context = executor_class.Context(
            beam_pipeline_args=list(beam_args), tmp_dir=str(output), unique_id="1"
        )
        executor_class(context).Do(
            {}, {"examples": [examples], "report": [report]}, dict(node.exec_properties)
        )
        return Ran(examples, Path(report.uri))

    return run


@pytest.fixture(scope="module")
def images(encode):
    """200 different images."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
    return [encode(array) for array in noise]
