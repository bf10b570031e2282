"""The manifests' server is that of compose.yaml, and starts, answers and ends as it is to."""

import re
from pathlib import Path

import pytest
import yaml
from manifests import BASE, DOCS, SERVING, base, flags, load

from served_model.interface import MODEL_NAME


def seconds(probe):
    return probe["periodSeconds"] * probe["failureThreshold"]


@pytest.fixture
def compose():
    return load(SERVING / "compose.yaml")["services"]["server"]


def test_server_and_flags_are_those_of_compose(server, compose):
    images = load(BASE / "kustomization.yaml")["images"]
    [image] = [image for image in images if image["name"] == server["image"]]
    assert f"{image['name']}:{image['newTag']}" == compose["image"]
    ours = flags(server["args"])
    own = {"port", "rest_api_port", "grpc_channel_arguments"}
    assert {name: ours[name] for name in ours.keys() - own} == flags(compose["command"])
    assert own <= ours.keys()


def test_limits_are_those_of_compose(server, compose):
    limits = compose["deploy"]["resources"]["limits"]
    [cpus, memory] = [re.search(r":-(.*)\}", limits[name])[1] for name in ("cpus", "memory")]
    assert server["resources"]["limits"] == {"cpu": cpus, "memory": memory.upper() + "i"}


def test_ports_agree(server, pod, compose):
    given = flags(server["args"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    assert {int(port.rpartition(":")[2]) for port in compose["ports"]} == set(ports.values())

    offered = {port["name"]: port for port in base("Service")["spec"]["ports"]}
    assert {name: port["port"] for name, port in offered.items()} == ports
    assert all(port["targetPort"] == name for name, port in offered.items())
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["rest"])


def test_configuration_is_that_of_serving(server, pod):
    [mount] = [mount for mount in server["volumeMounts"] if mount["name"] == "config"]
    assert mount["readOnly"]
    assert "subPath" not in mount  # such a file would never change
    generators = load(SERVING / "kustomization.yaml")["configMapGenerator"]
    [volume] = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "config"]
    sources = [source["configMap"]["name"] for source in volume["projected"]["sources"]]
    assert sources == [generator["name"] for generator in generators]

    files = [name for generator in generators for name in generator["files"]]
    assert all((SERVING / name).is_file() for name in files)
    given = flags(server["args"])
    read = [path for flag, path in given.items() if flag.endswith("_file")]
    assert sorted(read) == sorted(f"{mount['mountPath']}/{name}" for name in files)


def test_only_what_the_server_reads_again_changes_without_a_restart(server):
    lasting = [
        generator["files"]
        for generator in load(SERVING / "kustomization.yaml")["configMapGenerator"]
        if generator.get("options", {}).get("disableNameSuffixHash")
    ]
    given = flags(server["args"])
    assert int(given["model_config_file_poll_wait_seconds"]) > 0
    assert lasting == [[Path(given["model_config_file"]).name]]


def test_probes(server):
    model = f"/v1/models/{MODEL_NAME}"
    paths = {name: server[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    assert paths == {"startup": model, "liveness": model}
    # The status is 200 also when no version is loaded; see http_rest_api_handler.cc.
    assert server["readinessProbe"]["httpGet"]["path"] == f"{model}/metadata"
    for name in ("startup", "readiness", "liveness"):
        probe = server[f"{name}Probe"]
        assert probe["httpGet"]["port"] == "rest"
        assert 1 < probe["timeoutSeconds"] <= probe["periodSeconds"]
    assert seconds(server["startupProbe"]) > 600  # Kubernetes forgets restarts after that
    assert seconds(server["livenessProbe"]) >= 60
    assert seconds(server["readinessProbe"]) <= 15


def test_a_first_version_that_is_late_is_no_failed_rollout(deployment, server):
    assert deployment["spec"]["progressDeadlineSeconds"] > seconds(server["startupProbe"])


def test_clients_have_left_before_the_server_goes(deployment, server, pod):
    given = flags(server["args"])
    age = int(
        re.fullmatch(r"grpc\.max_connection_age_ms=(\d+)", given["grpc_channel_arguments"])[1]
    )
    request = int(given["rest_api_timeout_in_ms"])
    sleep, waited = server["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    # gRPC spreads the age by a tenth.
    assert int(waited) * 1000 >= 1.1 * age + request
    assert pod["spec"]["terminationGracePeriodSeconds"] > int(waited)
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)


def test_metrics_are_where_prometheus_looks(pod):
    [path] = re.findall(r'path: "(.*)"', (SERVING / "monitoring.config").read_text("utf-8"))
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/path"] == path
    [example] = re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    monitor = yaml.safe_load(example)["spec"]
    assert monitor["podMetricsEndpoints"] == [{"port": "rest", "path": path}]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
