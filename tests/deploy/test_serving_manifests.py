"""What the manifests in deploy/serving promise, and that kustomize and Kubernetes take them.

What needs kubectl, which renders the overlays without a cluster, is skipped where there is none.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import ROOT

from served_model.interface import MODEL_NAME

SERVING = ROOT / "serving"
MANIFESTS = ROOT / "deploy" / "serving"
BASE = MANIFESTS / "base"
DOCS = ROOT / "docs" / "kubernetes.md"
PLACES = ["claim", "gcs", "kind", "s3"]  # where versions lie
VERSIONS = [
    "1.29",
    "1.37",
]  # of Kubernetes: the oldest and the newest that docs/kubernetes.md names


def load(path):
    [document] = yaml.safe_load_all(path.read_text("utf-8"))
    return document


def base(kind):
    [found] = [manifest for path in BASE.glob("*.yaml") if (manifest := load(path))["kind"] == kind]
    return found


def flags(arguments):
    matches = [re.fullmatch(r"--(\w+)=(\S+)", argument) for argument in arguments]
    assert all(matches)
    return dict(match.groups() for match in matches)


def seconds(probe):
    return probe["periodSeconds"] * probe["failureThreshold"]


def json_patch(path):
    """The operations on the Deployment that a kustomization has in itself."""
    [patch] = [
        patch["patch"]
        for patch in load(path)["patches"]
        if patch.get("target", {}).get("kind") == "Deployment"
    ]
    return yaml.safe_load(patch)


@pytest.fixture
def deployment():
    return base("Deployment")


@pytest.fixture
def pod(deployment):
    return deployment["spec"]["template"]


@pytest.fixture
def server(pod):
    [container] = pod["spec"]["containers"]
    return container


@pytest.fixture
def compose():
    return load(SERVING / "compose.yaml")["services"]["server"]


@pytest.fixture
def sync():
    containers = load(MANIFESTS / "s3" / "sync.yaml")["spec"]["template"]["spec"]["containers"]
    [container] = [container for container in containers if container["name"] == "sync"]
    return container


# --- the server ---------------------------------------------------------------------------------


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


# --- what is around it --------------------------------------------------------------------------


def test_selectors_find_the_pods(deployment, pod):
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        base("Service")["spec"]["selector"],
        base("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        base("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert len(selectors) == 6
    for selector in selectors:
        assert selector
        assert selector.items() <= pod["metadata"]["labels"].items()


def test_the_autoscaler_scales_the_deployment(deployment, server):
    scaler = base("HorizontalPodAutoscaler")["spec"]
    target = scaler["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == (deployment["apiVersion"], "Deployment")
    assert target["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # applying it would undo the scaling
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    [metric] = scaler["metrics"]
    assert metric["containerResource"]["container"] == server["name"]
    assert metric["containerResource"]["name"] in server["resources"]["requests"]


def test_a_drain_proceeds():
    budget = base("PodDisruptionBudget")["spec"]
    assert "minAvailable" not in budget  # with one server it would allow none to go
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_node_with_copies_can_be_taken_away():
    template = load(MANIFESTS / "s3" / "sync.yaml")["spec"]["template"]
    temporary = [volume["name"] for volume in template["spec"]["volumes"] if "emptyDir" in volume]
    evictable = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
    assert template["metadata"]["annotations"][evictable].split(",") == temporary


def test_containers_may_do_nothing(pod, server, sync):
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert base("ServiceAccount")["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == base("ServiceAccount")["metadata"]["name"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (server, sync):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        for bound in ("requests", "limits"):
            assert container["resources"][bound].keys() == {"cpu", "memory"}


def test_who_may_ask(server):
    policy = base("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    clients, prometheus = policy["ingress"]
    assert all(rule["from"] for rule in (clients, prometheus))
    assert [port["port"] for port in clients["ports"]] == [port["name"] for port in server["ports"]]
    assert [port["port"] for port in prometheus["ports"]] == ["rest"]
    [client] = clients["from"]
    [(key, value)] = client["namespaceSelector"]["matchLabels"].items()
    for text in (DOCS.read_text("utf-8"), (BASE / "network-policy.yaml").read_text("utf-8")):
        assert re.search(rf"kubectl label namespace \S+ {key}={value}\n", text)


def test_what_the_pods_may_ask():
    assert base("NetworkPolicy")["spec"]["egress"] == []  # a volume is mounted by the node
    for place in ("gcs", "s3"):
        rules = load(MANIFESTS / place / "network-policy.yaml")["spec"]["egress"]
        ports = {(port["protocol"], port["port"]) for rule in rules for port in rule["ports"]}
        assert {("UDP", 53), ("TCP", 53), ("TCP", 443)} <= ports


def test_the_store_may_be_asked():
    [literals] = [
        generator["literals"]
        for generator in load(MANIFESTS / "s3" / "kustomization.yaml")["configMapGenerator"]
        if "literals" in generator
    ]
    endpoint = dict(literal.split("=", 1) for literal in literals)["RCLONE_CONFIG_STORE_ENDPOINT"]
    namespace, port = re.fullmatch(r"http://[\w-]+\.([\w-]+):(\d+)", endpoint).groups()
    rules = load(MANIFESTS / "s3" / "network-policy.yaml")["spec"]["egress"]
    [rule] = [rule for rule in rules if "to" in rule]
    [to] = rule["to"]
    assert to["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
    # A policy sees the pod's port: MinIO's is the service's, SeaweedFS's is another one.
    assert {(p["protocol"], p["port"]) for p in rule["ports"]} == {
        ("TCP", int(port)),
        ("TCP", 8333),
    }


# --- where versions lie -------------------------------------------------------------------------


def test_versions_are_mounted_where_the_configuration_says(sync):
    [folder] = re.findall(r'base_path: "(.*)"', (SERVING / "models.config").read_text("utf-8"))
    for patch in ("claim/volume.yaml", "s3/sync.yaml"):
        spec = load(MANIFESTS / patch)["spec"]["template"]["spec"]
        [mount] = spec["containers"][0]["volumeMounts"]
        assert f"{mount['mountPath']}/{MODEL_NAME}" == folder
        assert mount["readOnly"]
        assert mount["name"] in {volume["name"] for volume in spec["volumes"]}
    assert {"name": "TARGET", "value": folder} in sync["env"]
    assert {"name": "models", "mountPath": str(Path(folder).parent)} in sync["volumeMounts"]


def test_the_claim_can_be_read_by_servers_on_all_nodes():
    claim = load(MANIFESTS / "claim" / "claim.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    patch = load(MANIFESTS / "claim" / "volume.yaml")
    [volume] = patch["spec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


def test_kinds_volume_is_the_folder_that_its_node_has():
    volume = load(MANIFESTS / "kind" / "volume.yaml")
    [node] = load(MANIFESTS / "kind" / "cluster.yaml")["nodes"]
    [mount] = node["extraMounts"]
    assert volume["spec"]["hostPath"]["path"] == mount["containerPath"]
    # The folder of versions that `make run` pushes to, as compose.yaml has it.
    assert f":-../{mount['hostPath']}}}" in (SERVING / "compose.yaml").read_text("utf-8")
    claim = load(MANIFESTS / "kind" / "claim.yaml")
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == ""
    namespace = load(MANIFESTS / "kind" / "kustomization.yaml")["namespace"]
    assert volume["spec"]["claimRef"] == {"name": claim["metadata"]["name"], "namespace": namespace}


def test_gcs_changes_the_flags_that_it_means(server):
    arguments = server["args"].copy()
    for operation in json_patch(MANIFESTS / "gcs" / "kustomization.yaml"):
        path, _, index = operation["path"].rpartition("/")
        assert path == "/spec/template/spec/containers/0/args"
        if operation["op"] == "test":
            assert arguments[int(index)] == operation["value"]
        elif operation["op"] == "replace":
            arguments[int(index)] = operation["value"]
        else:
            arguments.append(operation["value"])
    before, after = flags(server["args"]), flags(arguments)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"file_system_poll_wait_seconds", "max_num_load_retries"}


def test_gcs_changes_the_folder_in_the_configuration_and_nothing_else():
    [replacement] = load(MANIFESTS / "gcs" / "kustomization.yaml")["replacements"]
    [target] = replacement["targets"]
    pieces = (SERVING / "models.config").read_text("utf-8").split(target["options"]["delimiter"])
    index = target["options"]["index"]
    assert pieces[index - 1].split()[-1] == "base_path:"
    assert pieces[index] == f"/models/{MODEL_NAME}"
    place = load(MANIFESTS / "gcs" / "place.yaml")["data"]["base_path"]
    assert re.fullmatch(rf"gs://.+/{MODEL_NAME}", place)


# --- the files ----------------------------------------------------------------------------------


def test_every_file_is_used():
    used = {MANIFESTS / "kind" / "cluster.yaml"}  # kind's own
    for path in MANIFESTS.rglob("kustomization.yaml"):
        kustomization = load(path)
        patches = [patch["path"] for patch in kustomization.get("patches", []) if "path" in patch]
        generated = [
            file
            for maps in kustomization.get("configMapGenerator", [])
            for file in maps.get("files", [])
        ]
        used.add(path)
        for name in [*kustomization["resources"], *patches, *generated]:
            assert (path.parent / name).exists(), f"{path}: {name}"
            used.add((path.parent / name).resolve())
    assert {path for path in MANIFESTS.rglob("*") if path.is_file()} <= used


def test_images_have_a_tag_and_no_made_up_digest():
    for path in MANIFESTS.rglob("*.yaml"):
        text = path.read_text("utf-8")
        assert not re.search(r"sha256:[0-9a-f]", text), path
        assert not re.search(r"image: \S+:", text), f"{path}: versions are in kustomization.yaml"
        assert ":latest" not in text
    for path in MANIFESTS.rglob("kustomization.yaml"):
        for image in load(path).get("images", []):
            assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(readers, version):
    resources = [
        load(folder / name)
        for folder in [BASE, *(MANIFESTS / place for place in PLACES)]
        for name in load(folder / "kustomization.yaml")["resources"]
        if name.endswith(".yaml")
    ]
    assert len(resources) == 9
    check(readers, version, resources)


def check(readers, version, manifests):
    """Fails unless the schemas of the Kubernetes `version` take the manifests as they are."""
    command = [readers, Path(__file__).with_name("kubernetes_reader.py"), version]
    told = subprocess.run(command, input=json.dumps(manifests), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


# --- with kubectl -------------------------------------------------------------------------------


def kustomize(folder):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not on PATH; it renders the manifests, without a cluster")
    ended = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    # It warns of what is deprecated.
    assert not ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


@pytest.fixture(params=PLACES)
def place(request):
    return request.param


@pytest.fixture
def rendered(place):
    return kustomize(MANIFESTS / place)


def of_kind(manifests, kind):
    [found] = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field_of_what_is_rendered(readers, rendered, version):
    check(readers, version, rendered)


def test_all_is_in_one_namespace(rendered):
    namespaces = {manifest["metadata"].get("namespace") for manifest in rendered}
    assert namespaces - {None} == {"fishnet"}
    assert [m["kind"] for m in rendered if "namespace" not in m["metadata"]] in (
        [],
        ["PersistentVolume"],
    )


def test_what_the_pod_refers_to_is_there(rendered):
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered}
    spec = of_kind(rendered, "Deployment")["spec"]["template"]["spec"]
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "configMap" in source:
                assert ("ConfigMap", source["configMap"]["name"]) in names
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", claim) in names
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        assert ":" in container["image"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                assert ("ConfigMap", source["configMapRef"]["name"]) in names


def test_the_configuration_arrives(rendered, place):
    arrived = {}
    for manifest in rendered:
        if manifest["kind"] == "ConfigMap":
            arrived |= manifest["data"]
    for path in SERVING.glob("*.config"):
        text = path.read_text("utf-8")
        if (place, path.name) == ("gcs", "models.config"):
            text = text.replace("/models/fishnet", "gs://BUCKET/serving/fishnet")
        assert arrived[path.name] == text
    assert "base_path" not in arrived  # what only kustomize reads is not sent


def test_egress_is_what_the_place_needs(rendered, place):
    policy = of_kind(rendered, "NetworkPolicy")["spec"]
    assert len(policy["ingress"]) == 2
    assert len(policy.get("egress", [])) == {"claim": 0, "kind": 0, "gcs": 4, "s3": 3}[place]


def test_a_digest_can_be_added(tmp_path):
    shutil.copytree(MANIFESTS, tmp_path / "deploy" / "serving")
    shutil.copytree(SERVING, tmp_path / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    digest = f"sha256:{'0' * 64}"
    path = tmp_path / "deploy" / "serving" / "base" / "kustomization.yaml"
    text = path.read_text("utf-8").replace("# digest: sha256:…", f"digest: {digest}")
    path.write_text(text, "utf-8")
    [container] = of_kind(kustomize(path.parents[1] / "claim"), "Deployment")["spec"]["template"][
        "spec"
    ]["containers"]
    assert container["image"].startswith("tensorflow/serving")
    assert container["image"].endswith(f"@{digest}")
