import dataclasses
import math

import pytest
from compiling import EVERY_SETTING, compiled

from pipeline.kubeflow.settings import DEFAULT_RESOURCES, ClusterConfig, Resources, Toleration

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
        ("node_selector", "label", "LABEL=VALUE"),
        ("node_selector", "label=two words", "LABEL=VALUE"),
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
    ],
)
def test_a_name_is_given_once(settings, name):
    with pytest.raises(ValueError, match=f"each name once.*{name}"):
        ClusterConfig(**settings)


@pytest.mark.parametrize(
    "numbers", [{"cpu": 0}, {"memory": -1}, {"gpus": -1}, {"cpu": math.nan}, {"memory": math.inf}]
)
def test_resources_are_positive_numbers(numbers):
    with pytest.raises(ValueError, match="must be positive"):
        Resources(**numbers)


@pytest.mark.parametrize(("field", "value"), [("retries", -1), ("backoff_seconds", 0)])
def test_other_numbers_have_a_least_value(field, value):
    with pytest.raises(ValueError, match=f"`cluster.{field}` must be"):
        ClusterConfig(**{field: value})


def test_resources_are_of_components_that_are_there():
    with pytest.raises(ValueError, match="unknown components: Tuner"):
        ClusterConfig(resources=DEFAULT_RESOURCES | {"Tuner": Resources()})


def test_settings_are_taken_apart():
    settings = ClusterConfig(
        environment=("A=b=c", "EMPTY="),
        volumes=("my.claim-1:/mnt/a b",),
        tolerations=("key:NoSchedule",),
    )
    assert settings.parsed_environment() == {"A": "b=c", "EMPTY": ""}
    [volume] = settings.parsed_volumes()
    assert (volume.claim, volume.path) == ("my.claim-1", "/mnt/a b")
    assert settings.parsed_tolerations() == [Toleration("key", "", "NoSchedule")]
