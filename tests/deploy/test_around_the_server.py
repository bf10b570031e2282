"""What is around the server: scaling, drains, what it may do, who may ask whom."""

import re

from manifests import BASE, DOCS, MANIFESTS, base, load


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
