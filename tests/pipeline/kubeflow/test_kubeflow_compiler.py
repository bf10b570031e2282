import dataclasses

import kfp
import pytest
from compiling import CONFIG, EVERY_SETTING, IMAGE, ROOT, compiled, pods, tasks
from google.cloud.aiplatform_v1.types import AcceleratorType

from pipeline.kubeflow.checks import faults
from pipeline.kubeflow.compiler import containers
from pipeline.kubeflow.settings import (
    CLUSTER_NODES,
    DEFAULT_RESOURCES,
    ClusterConfig,
    Resources,
    with_minio,
)
from pipeline.nodes import NEVER_CACHED, REPORT, TUNER
from pipeline.target import Target
from pipeline.training_config import TunerConfig

CLUSTERS = pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
GPU = ClusterConfig(resources=DEFAULT_RESOURCES | {"Trainer": Resources(gpus=2)})


def producers(task: dict) -> set[str]:
    inputs = task.get("inputs", {})
    sources = [*inputs.get("artifacts", {}).values(), *inputs.get("parameters", {}).values()]
    found = {
        output["producerTask"]
        for source in sources
        for output in source.values()
        if isinstance(output, dict) and "producerTask" in output
    }
    return found | set(task.get("dependentTasks", []))


@CLUSTERS
def test_what_is_compiled_has_no_fault(target):
    assert faults(compiled(target)) == []
    assert faults(compiled(target, dataclasses.replace(GPU, retries=0))) == []


@CLUSTERS
def test_the_nodes_are_those_that_the_settings_know(target):
    nodes = [node for node, _ in containers(compiled(target).spec)]
    missing = {"Champion"} if target is Target.VERTEX else set()  # a Resolver there
    assert sorted(nodes) == sorted(set(CLUSTER_NODES) - missing)


@CLUSTERS
def test_tuner_hands_its_values_to_the_trainer(target):
    config = dataclasses.replace(CONFIG, tuner=TunerConfig(enable=True))
    package = compiled(target, EVERY_SETTING, config)
    assert faults(package) == []
    [given] = tasks(package)["Trainer"]["inputs"]["artifacts"]["hyperparameters"].values()
    assert given == {"producerTask": TUNER, "outputArtifactKey": "best_hyperparameters"}
    usual = {node for node, _ in containers(compiled(target).spec)}
    assert {node for node, _ in containers(package.spec)} == {*usual, TUNER}


@CLUSTERS
def test_just_what_looks_outside_is_never_cached(target):
    cached = {
        name
        for name, task in tasks(compiled(target)).items()
        if task.get("cachingOptions", {}).get("enableCache")
    }
    assert cached == set(CLUSTER_NODES) - set(NEVER_CACHED)


@CLUSTERS
def test_every_task_is_retried_with_backoff_unless_it_would_refuse_again(target):
    for name, task in tasks(compiled(target, EVERY_SETTING)).items():
        if name in ("DataGate", "AnomalyGate", "Champion"):
            assert "retryPolicy" not in task, name
            continue
        assert task["retryPolicy"] == {
            "maxRetryCount": 3,
            "backoffDuration": "30s",
            "backoffFactor": 2.0,
            # Attempts count too: on Kubeflow an hour would kill a Trainer that was started again.
            "backoffMaxDuration": "2592000s" if target is Target.KFP else "3600s",
        }, name


def test_without_retries_no_task_is_started_again():
    package = compiled(cluster=ClusterConfig(retries=0))
    assert not any("retryPolicy" in task for task in tasks(package).values())


@CLUSTERS
def test_each_component_has_its_own_resources(target):
    for node, container in containers(compiled(target, EVERY_SETTING).spec):
        wanted = EVERY_SETTING.resources[node]
        assert container["resources"]["cpuLimit"] == wanted.cpu
        assert container["resources"]["memoryLimit"] == wanted.memory
        assert ("accelerator" in container["resources"]) is (node == "Trainer")


@pytest.mark.parametrize(
    ("target", "accelerator", "kind"),
    [
        (Target.KFP, "", "nvidia.com/gpu"),
        (Target.KFP, "amd.com/gpu", "amd.com/gpu"),
        (Target.VERTEX, "", "NVIDIA_TESLA_T4"),
        (Target.VERTEX, "NVIDIA_L4", "NVIDIA_L4"),
    ],
)
def test_gpus_are_asked_for_by_the_targets_name(target, accelerator, kind):
    cluster = dataclasses.replace(GPU, accelerator=accelerator)
    resources = dict(containers(compiled(target, cluster).spec))["Trainer"]["resources"]
    assert resources["accelerator"] == {"type": kind, "count": "2"}
    assert target is Target.KFP or kind in AcceleratorType.__members__


@CLUSTERS
def test_every_container_has_the_image_and_the_environment(target):
    for _, container in containers(compiled(target, EVERY_SETTING).spec):
        assert container["image"] == IMAGE
        assert container["env"] == [{"name": "A", "value": "12e45"}, {"name": "TZ", "value": "UTC"}]


@CLUSTERS
def test_the_parameters_of_a_run_have_their_defaults(target):
    assert compiled(target).spec["root"]["inputDefinitions"]["parameters"] == {
        "data": {"parameterType": "STRING", "defaultValue": f"{ROOT}/data"},
        "push_destination": {"parameterType": "STRING", "defaultValue": f"{ROOT}/serving"},
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": CONFIG.trainer.epochs},
        "learning_rate": {
            "parameterType": "NUMBER_DOUBLE",
            "defaultValue": CONFIG.trainer.learning_rate,
        },
    }


@CLUSTERS
def test_what_a_task_takes_comes_from_a_task_that_is_there(target):
    package = compiled(target)
    for name, task in tasks(package).items():
        assert producers(task) <= set(tasks(package)), name
    parameters = tasks(package)["ImportExampleGen"]["inputs"]["parameters"]
    assert parameters["folder_fingerprint"]["taskOutputParameter"] == {
        "producerTask": "FolderFingerprint",
        "outputParameterKey": "fingerprint",
    }


def test_kubeflow_gets_our_entry_point_and_no_lifecycle():
    for node, container in containers(compiled().spec):
        assert container["command"] == ["python", "-m", "deploy.kfp_entrypoint"], node
        assert "lifecycle" not in container


def test_kubeflow_gets_the_champion_from_a_container_and_vertex_from_resolvers():
    assert "Champion" in dict(containers(compiled().spec))
    vertex = compiled(Target.VERTEX).spec["deploymentSpec"]["executors"]
    assert sorted(label for label, executor in vertex.items() if "resolver" in executor) == [
        "Champion-model-blessing-resolver_executor",
        "Champion-model-resolver_executor",
    ]


@CLUSTERS
def test_without_a_champion_nobody_takes_its_model(target):
    evaluator = dataclasses.replace(CONFIG.evaluator, reset_champion=True)
    package = compiled(target, config=dataclasses.replace(CONFIG, evaluator=evaluator))
    assert faults(package) == []
    assert not any("Champion" in name for name in tasks(package))
    assert "baseline_model" not in tasks(package)["Evaluator"]["inputs"]["artifacts"]


def test_every_pod_has_volumes_secrets_and_the_registrys_key():
    for node, pod in pods(compiled(cluster=EVERY_SETTING)).items():
        assert pod["pvcMount"] == [
            {"constant": "models", "mountPath": "/models"},
            {"constant": "checkpoints", "mountPath": "/checkpoints"},
        ], node
        assert pod["secretAsEnv"] == [
            {
                "secretName": "wandb",
                "keyToEnv": [{"secretKey": "api-key", "envVar": "WANDB_API_KEY"}],
            }
        ]
        assert pod["imagePullSecret"] == [{"secretName": "registry-key"}]


def test_the_pods_that_train_alone_have_the_machine_with_gpus():
    config = dataclasses.replace(CONFIG, tuner=TunerConfig(enable=True))
    by_node = pods(compiled(cluster=EVERY_SETTING, config=config))
    trainer = by_node.pop("Trainer")
    assert by_node.pop(TUNER) == trainer
    assert trainer["nodeSelector"] == {
        "labels": {"cloud.google.com/gke-accelerator": "nvidia-l4", "spot": "y"}
    }
    assert trainer["tolerations"] == [
        {
            "key": "nvidia.com/gpu",
            "operator": "Equal",
            "value": "present",
            "effect": "NoSchedule",
        },
        {"key": "spot", "operator": "Exists", "effect": "NoExecute"},
    ]
    shared_memory = {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory"}
    assert trainer["emptyDirMounts"] == [{**shared_memory, "sizeLimit": "2Gi"}]
    for pod in by_node.values():
        assert not pod.keys() & {"nodeSelector", "tolerations", "emptyDirMounts"}


def test_without_platform_settings_there_is_no_second_document():
    assert compiled().platforms == {}
    assert "\n---\n" not in compiled().to_text()


def test_the_keys_to_minio_are_given_by_secrets_only():
    plain = ClusterConfig()
    assert with_minio(plain, ("gs://bucket", "s3://bucket")) == plain
    package = compiled(cluster=with_minio(plain, ("gs://bucket", "minio://bucket/root")))
    for node, pod in pods(package).items():
        variables = {
            key["envVar"]: (secret["secretName"], key["secretKey"])
            for secret in pod["secretAsEnv"]
            for key in secret["keyToEnv"]
        }
        assert variables == {
            "AWS_ACCESS_KEY_ID": ("mlpipeline-minio-artifact", "accesskey"),
            "AWS_SECRET_ACCESS_KEY": ("mlpipeline-minio-artifact", "secretkey"),
        }, node
    for _, container in containers(package.spec):
        [variable] = container["env"]
        assert variable["name"] == "AWS_ENDPOINT_URL"


def test_what_the_user_says_of_minio_stays_and_the_rest_is_added():
    given = ClusterConfig(
        environment=("AWS_ENDPOINT_URL=http://mine:9000",),
        secrets=("wandb/key=WANDB_API_KEY",),
    )
    cluster = with_minio(given, ("minio://bucket/root",))
    assert cluster.environment == given.environment
    assert cluster.secrets == (
        *given.secrets,
        "mlpipeline-minio-artifact/accesskey=AWS_ACCESS_KEY_ID",
        "mlpipeline-minio-artifact/secretkey=AWS_SECRET_ACCESS_KEY",
    )


@pytest.mark.parametrize("target", [Target.KFP, Target.VERTEX])
def test_pusher_is_given_the_run_for_its_receipt(target):
    parameters = compiled(target).spec["root"]["dag"]["tasks"]["Pusher"]["inputs"]["parameters"]
    constants = {name: value.get("runtimeValue") for name, value in parameters.items()}
    assert constants["pipeline"] == {"constant": "fishnet"}
    # Kubeflow's driver replaces it where it is the whole value.
    assert constants["run"] == {"constant": kfp.dsl.PIPELINE_JOB_ID_PLACEHOLDER}


@pytest.mark.parametrize(
    ("target", "kinds"),
    [(Target.KFP, ["system.HTML", "system.Markdown"]), (Target.VERTEX, [None, None])],
)
def test_report_is_of_the_types_that_kubeflows_page_shows(target, kinds):
    outputs = compiled(target).spec["components"][REPORT]["outputDefinitions"]["artifacts"]
    assert [outputs[key]["artifactType"].get("schemaTitle") for key in ("page", "card")] == kinds
