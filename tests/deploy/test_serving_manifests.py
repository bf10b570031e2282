"""The manifests in deploy/serving as files, and that kustomize and Kubernetes take them.

What needs kubectl, which renders the overlays without a cluster, is skipped where there is none.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from manifests import BASE, MANIFESTS, SERVING, load

PLACES = ["claim", "gcs", "kind", "s3"]  # where versions lie
VERSIONS = [
    "1.29",
    "1.37",
]  # of Kubernetes: the oldest and the newest that docs/kubernetes.md names


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
