"""Apache Beam's runners by the names that every command takes as `--beam.runner`."""

from typing import Literal

Runner = Literal["local", "dataflow", "flink", "spark"]

RUNNERS: dict[str, str] = {
    # Beam's fastest on one machine; its DirectRunner first tries to download another one.
    "local": "FnApiRunner",
    "dataflow": "DataflowRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
}
