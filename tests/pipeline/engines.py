"""Beam's engines, each with all flags that it needs."""

from pipeline.config import BeamConfig

IMAGE = "registry/fishnet@sha256:0123"
ROOTS = ("gs://bucket/data", "gs://bucket/root")

DATAFLOW = ("--project=my-project", "--region=europe-west4", "--temp_location=gs://bucket/tmp")
EXTERNAL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")
COMMAND = '{"command": "/opt/apache/beam/boot"}'

# Each with all that it needs, given an image.
COMPLETE = [
    BeamConfig(),
    BeamConfig("dataflow", DATAFLOW),
    BeamConfig("flink", ("--job_endpoint=host:8099", *EXTERNAL)),
    BeamConfig("flink", ("--flink_master=http://host:8081", *EXTERNAL)),
    BeamConfig("flink", ("--job_endpoint=host:8099", "--environment_type=DOCKER")),
    BeamConfig("spark", ("--job_endpoint=host:8099", *EXTERNAL)),
    BeamConfig("spark", ("--spark_rest_url=http://host:6066", *EXTERNAL)),
]
