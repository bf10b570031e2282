import pytest
from google.protobuf import json_format
from tfx.components.distribution_validator import executor as stock

from components.validate.anomaly_gate import skew_config
from components.validate.distribution_validator import CONFIG, Executor


@pytest.mark.parametrize("form", [lambda proto: proto, json_format.MessageToJson])
def test_executor_takes_its_config_as_a_local_run_and_as_kubeflow_gives_it(form, monkeypatch):
    given = []
    monkeypatch.setattr(
        stock.Executor, "Do", lambda self, i, o, properties: given.append(properties)
    )
    config = skew_config(0.25)
    Executor().Do({}, {}, {CONFIG: form(config), "include_split_pairs": "[]"})
    assert given == [{CONFIG: config, "include_split_pairs": "[]"}]
