"""Where versions lie: a volume or a bucket, as the server's configuration says."""

import re
from pathlib import Path

import yaml
from manifests import MANIFESTS, SERVING, flags, load

from served_model.interface import MODEL_NAME


def json_patch(path):
    """The operations on the Deployment that a kustomization has in itself."""
    [patch] = [
        patch["patch"]
        for patch in load(path)["patches"]
        if patch.get("target", {}).get("kind") == "Deployment"
    ]
    return yaml.safe_load(patch)


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
