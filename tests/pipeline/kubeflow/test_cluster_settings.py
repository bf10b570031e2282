import dataclasses
import math

import pytest
from compiling import EVERY_SETTING, compiled

from pipeline.kubeflow.settings import (
    DEFAULT_RESOURCES,
    ClusterConfig,
    Resources,
    Toleration,
    with_minio,
)

FIELDS = [field.name for field in dataclasses.fields(ClusterConfig)]


@pytest.mark.parametrize("field", FIELDS)
def test_no_setting_is_dropped(field):
    default = getattr(ClusterConfig(), field)
    assert getattr(EVERY_SETTING, field) != default
    without = dataclasses.replace(EVERY_SETTING, **{field: default})
    assert compiled(cluster=without).to_text() != compiled(cluster=EVERY_SETTING).to_text()


@pytest.mark.parametrize(
    ("field", "value", "shape"),
    [
        ("environment", "NAME", "NAME=VALUE"),
        ("environment", "1A=b", "NAME=VALUE"),
        ("secrets", "name=VARIABLE", "NAME/KEY=VARIABLE"),
        ("secrets", "Name/key=VARIABLE", "NAME/KEY=VARIABLE"),
        ("secrets", "name/key=A-B", "NAME/KEY=VARIABLE"),
        ("volumes", "claim", "CLAIM:/PATH"),
        ("volumes", "claim:relative", "CLAIM:/PATH"),
        ("volumes", "my_claim:/models", "CLAIM:/PATH"),
        ("volumes", "-:/models", "CLAIM:/PATH"),
        ("volumes", "claim:/a:b", "CLAIM:/PATH"),
        ("secrets", "-/key=VARIABLE", "NAME/KEY=VARIABLE"),
        ("node_selector", "label", "LABEL=VALUE"),
        ("node_selector", "label=two words", "LABEL=VALUE"),
        ("node_selector", "größe=1", "at most 63 letters"),
        ("node_selector", "a/b/c=1", "at most 63 letters"),
        ("node_selector", "Pool.example/gpu=1", "at most 63 letters"),
        ("node_selector", "gpu=-a100", "a letter or a digit"),
        ("node_selector", f"gpu={'a' * 64}", "at most 63 letters"),
        ("tolerations", "a/b/c:NoSchedule", "at most 63 letters"),
        ("tolerations", "gpu=a100-:NoSchedule", "a letter or a digit"),
        ("secrets", "name/clé=VARIABLE", "NAME/KEY=VARIABLE"),
        ("secrets", "a..b/key=VARIABLE", "NAME/KEY=VARIABLE"),
        ("volumes", f"{'a' * 254}:/models", "CLAIM:/PATH"),
        ("tolerations", "key", "KEY=VALUE:EFFECT"),
        ("tolerations", "key=value:Never", "NoSchedule, PreferNoSchedule, NoExecute"),
    ],
)
def test_a_setting_of_another_shape_is_refused(field, value, shape):
    with pytest.raises(ValueError, match=f"`cluster.{field}` must be .*{shape}") as refused:
        ClusterConfig(**{field: (value,)})
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"volumes": ("a:/models", "b:/models/")}, "/models"),
        ({"volumes": ("models:/a", "models:/b")}, "models"),
        ({"secrets": ("a/b=KEY", "c/d=KEY")}, "KEY"),
        ({"secrets": ("a/b=KEY",), "environment": ("KEY=x",)}, "KEY"),
        ({"environment": ("KEY=x", "KEY=y")}, "KEY"),
        ({"node_selector": ("gpu=a", "gpu=b")}, "gpu"),
    ],
)
def test_a_name_is_given_once(settings, name):
    with pytest.raises(ValueError, match=f"each name once.*{name}"):
        ClusterConfig(**settings)


@pytest.mark.parametrize(
    "numbers",
    [
        *({"cpu": 0}, {"cpu": math.nan}, {"cpu": 1e-9}, {"cpu": 1e300}),
        *({"memory": -1}, {"memory": math.inf}, {"gpus": -1}, {"gpus": 10**20}),
    ],
)
def test_resources_are_positive_numbers(numbers):
    with pytest.raises(ValueError, match="must be positive"):
        Resources(**numbers)


@pytest.mark.parametrize(
    "path", ["/", "//", "/a//b", "/a/../tmp", "/tmp", "/minio", "/gcs/", "/dev/shm", "/opt/venv/x"]
)
def test_volumes_are_mounted_where_nothing_is(path):
    with pytest.raises(ValueError, match="`cluster.volumes` must") as refused:
        ClusterConfig(volumes=(f"claim:{path}",))
    assert path in str(refused.value)


@pytest.mark.parametrize("name", ["PATH", "KERAS_BACKEND", "KFP_POD_NAME"])
def test_what_the_software_needs_is_not_set(name):
    for settings in ({"environment": (f"{name}=x",)}, {"secrets": (f"a/b={name}",)}):
        with pytest.raises(ValueError, match=f"must leave {name} as it is"):
            ClusterConfig(**settings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("shared_memory", size) for size in ("lots", "2GB", "-1Gi", "0", "2")),
        *(("image_pull_secret", name) for name in ("My Secret", "-")),
        *(("accelerator", kind) for kind in ("/", "a b/c")),
    ],
)
def test_single_settings_have_a_shape_too(field, value):
    with pytest.raises(ValueError, match=f"`cluster.{field}` must be"):
        ClusterConfig(**{field: value})


def test_keys_of_another_store_are_not_mixed_with_kubeflows():
    given = ClusterConfig(secrets=("mine/id=AWS_ACCESS_KEY_ID",))
    assert with_minio(given, ("minio://b/r",)).secrets == given.secrets


@pytest.mark.parametrize(
    ("field", "value"),
    [("retries", -1), ("retries", 101), ("backoff_seconds", 0), ("backoff_seconds", 3_601)],
)
def test_other_numbers_have_bounds(field, value):
    with pytest.raises(ValueError, match=f"`cluster.{field}` must be"):
        ClusterConfig(**{field: value})


def test_resources_are_of_components_that_are_there():
    with pytest.raises(ValueError, match="unknown components: Tuning"):
        ClusterConfig(resources=DEFAULT_RESOURCES | {"Tuning": Resources()})


def test_settings_are_taken_apart():
    settings = ClusterConfig(
        environment=("A=b=c", "EMPTY="),
        node_selector=("cloud.example/gpu_kind=a100", "spot="),
        volumes=("my.claim-1:/mnt/a b",),
        tolerations=("key:NoSchedule",),
    )
    assert settings.parsed_environment() == {"A": "b=c", "EMPTY": ""}
    assert settings.parsed_node_selector() == {"cloud.example/gpu_kind": "a100", "spot": ""}
    [volume] = settings.parsed_volumes()
    assert (volume.claim, volume.path) == ("my.claim-1", "/mnt/a b")
    assert settings.parsed_tolerations() == [Toleration("key", "", "NoSchedule")]
