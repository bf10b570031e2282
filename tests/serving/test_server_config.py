"""The server's configuration, read as the server reads it, as far as its protos are at hand."""

import re

import pytest
import yaml
from commands import ROOT
from google.protobuf import descriptor_pb2, message_factory, text_format

from served_model.interface import TF_SERVING
from serving.client import MAX_IMAGES

SERVING = ROOT / "serving"
FENCED = re.compile(r"^```protobuf\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Of tensorflow_model_server 2.16, from tensorflow_serving/model_servers/main.cc.
FLAGS = {
    *("port", "grpc_socket_path", "rest_api_port", "rest_api_num_threads"),
    *("rest_api_timeout_in_ms", "rest_api_enable_cors_support", "enable_batching"),
    *("allow_version_labels_for_unavailable_models", "batching_parameters_file"),
    *("enable_per_model_batching_parameters", "model_config_file"),
    *("model_config_file_poll_wait_seconds", "num_load_threads", "num_unload_threads"),
    *("max_num_load_retries", "load_retry_interval_micros", "file_system_poll_wait_seconds"),
    *("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"),
    *("per_process_gpu_memory_fraction", "grpc_max_threads", "enable_model_warmup"),
    *("monitoring_config_file", "ssl_config_file"),
}


def model_server_config(text):
    from tensorflow_serving.config import model_server_config_pb2  # imports TensorFlow

    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def message(name, /, **fields):
    """A proto of TF Serving's that is in no package: name → (kind, repeated)."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name)
    for number in (field.TYPE_INT64, field.TYPE_STRING):  # as google.protobuf's wrappers
        wrapper = file.message_type.add(name=f"Value{number}")
        wrapper.field.add(name="value", number=1, type=number, label=field.LABEL_OPTIONAL)
    told = file.message_type.add(name=name)
    for number, (field_name, kind) in enumerate(fields.items(), start=1):
        added = told.field.add(name=field_name, number=number, label=field.LABEL_OPTIONAL)
        if kind == "int64s":
            added.type, added.label = field.TYPE_INT64, field.LABEL_REPEATED
        elif kind == "bool":
            added.type = field.TYPE_BOOL
        elif kind == "string":
            added.type = field.TYPE_STRING
        else:
            added.type = field.TYPE_MESSAGE
            wrapped = field.TYPE_STRING if kind == "StringValue" else field.TYPE_INT64
            added.type_name = f".{name}.Value{wrapped}"
    return message_factory.GetMessages([file])[f"{name}.{name}"]()


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((SERVING / "compose.yaml").read_text("utf-8"))


@pytest.fixture(params=["server", "server-gpu"])
def service(compose, request):
    return compose["services"][request.param]


@pytest.fixture
def flags(service):
    matches = [re.fullmatch(r"--(\w+)=(\S+)", flag) for flag in service["command"]]
    assert all(matches)
    return dict(match.groups() for match in matches)


def test_models():
    config = model_server_config((SERVING / "models.config").read_text("utf-8"))
    [model] = config.model_config_list.config
    assert (model.name, model.base_path) == ("fishnet", "/models/fishnet")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 2


def test_examples_of_labels_are_right():
    """What is commented out in models.config, and what the docs say to write into it."""
    text = (SERVING / "models.config").read_text("utf-8")
    with_labels = re.sub(r"# (version_labels)", r"\1", text)
    [model] = model_server_config(with_labels).model_config_list.config
    assert set(model.version_labels) == {"stable", "canary"}

    examples = FENCED.findall((ROOT / "docs" / "tf-serving.md").read_text("utf-8"))
    assert len(examples) >= 3
    for example in examples:
        [model] = model_server_config(example).model_config_list.config
        served = model.model_version_policy.specific.versions
        assert set(model.version_labels.values()) <= set(served)


def test_batching():
    config = message(
        "BatchingParameters",
        max_batch_size="Int64Value",
        batch_timeout_micros="Int64Value",
        max_enqueued_batches="Int64Value",
        num_batch_threads="Int64Value",
        thread_pool_name="StringValue",
        allowed_batch_sizes="int64s",
        pad_variable_length_inputs="bool",
    )
    text_format.Parse((SERVING / "batching.config").read_text("utf-8"), config)
    sizes = list(config.allowed_batch_sizes)
    assert sizes == sorted(sizes)
    # The server does not start otherwise, or refuses what the client sends.
    assert sizes[-1] == config.max_batch_size.value >= MAX_IMAGES
    assert config.num_batch_threads.value >= 1
    assert 0 < config.batch_timeout_micros.value <= 10_000


def test_monitoring():
    text = (SERVING / "monitoring.config").read_text("utf-8")
    [inner] = re.findall(r"^prometheus_config \{(.*)\}", text, re.MULTILINE | re.DOTALL)
    config = message("PrometheusConfig", enable="bool", path="string")
    text_format.Parse(inner, config)
    assert config.enable
    assert config.path == "/monitoring/prometheus/metrics"


def test_flags(flags):
    assert set(flags) <= FLAGS
    assert int(flags["model_config_file_poll_wait_seconds"]) > 0
    assert flags["allow_version_labels_for_unavailable_models"] == "true"


def test_everything_mounted_is_there(service, flags):
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    assert set(mounts) == {"/models", "/config"}
    assert all(volume["read_only"] for volume in mounts.values())
    assert mounts["/models"]["source"] == "${MODELS:-../output/digits/serving}"
    files = [path for flag, path in flags.items() if flag.endswith("_file")]
    assert len(files) == 3
    for path in files:
        source = SERVING / mounts["/config"]["source"]
        assert (source / path.removeprefix("/config/")).is_file()


def test_only_this_machine_is_let_in(service):
    assert sorted(service["ports"]) == [
        "${BIND:-127.0.0.1}:8500:8500",
        "${BIND:-127.0.0.1}:8501:8501",
    ]


def test_images_and_limits(compose):
    server, gpu = compose["services"]["server"], compose["services"]["server-gpu"]
    assert server["image"] == f"tensorflow/serving:{TF_SERVING}"
    assert gpu["image"] == f"tensorflow/serving:{TF_SERVING}-gpu"
    assert "profiles" not in server
    assert gpu["profiles"] == ["gpu"]
    for service in (server, gpu):
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_health_is_the_models(service):
    command = " ".join(service["healthcheck"]["test"])
    assert "GET /v1/models/fishnet " in command
    assert "AVAILABLE" in command


def test_version_of_the_server_is_the_same_everywhere():
    manifest = (ROOT / "deploy" / "serving" / "base" / "kustomization.yaml").read_text("utf-8")
    assert f"newTag: {TF_SERVING}\n" in manifest
    for page in ("kubernetes", "serving"):
        assert TF_SERVING in (ROOT / "docs" / f"{page}.md").read_text("utf-8")
