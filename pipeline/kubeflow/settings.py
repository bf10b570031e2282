"""What a cluster gives each component, and how it runs them: every number, with its unit.

Nothing of TensorFlow is imported here. `--cluster.FIELD VALUE` sets any field.
"""

import dataclasses
import re

import tyro

from pipeline.nodes import NODES, REPORT, TUNER

# The nodes that run as containers; and the Tuner, where it is enabled.
CLUSTER_NODES = ("FolderFingerprint", *NODES)
TRAINING = ("Trainer", TUNER)  # who uses GPUs, on machines of their own

# Names of Kubernetes' objects.
NAME = r"(?![a-z0-9.-]{254})[a-z0-9]+((-+|[.])[a-z0-9]+)*"
QUANTITY = r"[1-9][0-9]*(M|G|T|Mi|Gi|Ti)"  # of memory; without a unit it would be bytes
# Of labels and taints, which Kubernetes looks at when the Trainer's pod is made, and not before.
WORD = r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?"
KEY = rf"({NAME}/)?{WORD}"
WORDS = "at most 63 letters, digits, -, _ and ., the first and the last a letter or a digit"

# Where Kubeflow mounts folders of its own, and where the image has what runs.
RESERVED_FOLDERS = (
    *("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config", "/kfp-launcher"),
    *("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run", "/sbin", "/sys", "/tmp"),
    *("/usr", "/var"),
)
# What the image sets, or Kubeflow for its launcher.
RESERVED_VARIABLES = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "HOME"),
    *("KERAS_BACKEND", "TF_USE_LEGACY_KERAS"),
)

MINIO = "minio://"
# What an installation of Kubeflow Pipelines calls its own object store and the keys to it.
ENDPOINT = "AWS_ENDPOINT_URL"
MINIO_ENDPOINT = "http://minio-service.kubeflow:9000"
MINIO_SECRETS = (
    "mlpipeline-minio-artifact/accesskey=AWS_ACCESS_KEY_ID",
    "mlpipeline-minio-artifact/secretkey=AWS_SECRET_ACCESS_KEY",
)


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one component's container gets, at least and at most."""

    cpu: float = 1.0
    """Cores."""
    memory: float = 4.0
    """GB (10⁹ bytes)."""
    gpus: int = 0
    """Of the kind `--cluster.accelerator`."""

    def __post_init__(self) -> None:
        fractions = (self.cpu, self.memory)
        if not (all(0.001 <= n <= 1e6 for n in fractions) and 0 <= self.gpus <= 1000):
            rule = "positive, cpu and memory from 0.001 to a million, gpus from 0 to 1000"
            raise ValueError(f"resources must be {rule}. Received: {self}")


# To start with; what reads images or trains grows with the data.
DEFAULT_RESOURCES = {node: Resources() for node in (*CLUSTER_NODES, TUNER)} | {
    "ImportExampleGen": Resources(cpu=2, memory=8),
    "StatisticsGen": Resources(cpu=2, memory=8),
    "Transform": Resources(cpu=2, memory=8),
    TUNER: Resources(cpu=4, memory=16),
    "Trainer": Resources(cpu=4, memory=16),
    "Evaluator": Resources(cpu=2, memory=8),
    "ServingGate": Resources(cpu=2, memory=8),
    REPORT: Resources(cpu=1, memory=8),
}


@dataclasses.dataclass(frozen=True)
class Volume:
    """A persistent volume's claim, and where it is mounted."""

    claim: str
    path: str


@dataclasses.dataclass(frozen=True)
class Secret:
    """A secret's key, and the environment variable that has its value."""

    name: str
    key: str
    variable: str


@dataclasses.dataclass(frozen=True)
class Toleration:
    """A taint that the pods of Trainer and Tuner tolerate; an empty `value` stands for any."""

    key: str
    value: str
    effect: str


List = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class ClusterConfig:
    """How a cluster runs the components."""

    resources: dict[str, Resources] = dataclasses.field(
        default_factory=lambda: dict(DEFAULT_RESOURCES)
    )
    """Of each component."""
    accelerator: str = ""
    """The GPUs' kind: a Kubernetes resource, by default nvidia.com/gpu; on Vertex AI a name such as
    NVIDIA_TESLA_T4, the default."""
    retries: int = 2
    """How often a task that failed is started again; not those that only judge."""
    backoff_seconds: int = 60
    """Before the first retry, at most an hour; twice as long before each further one."""
    environment: List = ()
    """NAME=VALUE, for every container; may be given again. Not for secrets, which all can read."""
    secrets: List = ()
    """NAME/KEY=VARIABLE: the value under KEY of the Kubernetes secret NAME becomes an environment
    variable of every container. Where something is at minio://, AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY are, unless given, those of the store that Kubeflow Pipelines brings."""
    volumes: List = ()
    """CLAIM:/PATH: the persistent volume of CLAIM is mounted at PATH in every container."""
    node_selector: List = ()
    """LABEL=VALUE that the machine of Trainer and Tuner has."""
    tolerations: List = ()
    """KEY=VALUE:EFFECT or KEY:EFFECT, the taints that the machine of Trainer and Tuner may have."""
    shared_memory: str = ""
    """Size of /dev/shm for Trainer and Tuner, e.g. 2Gi; several GPUs exchange gradients there."""
    image_pull_secret: str = ""
    """The Kubernetes secret that opens the image's registry."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.resources) - set(DEFAULT_RESOURCES))
        if unknown:
            raise ValueError(f"`cluster.resources` has unknown components: {', '.join(unknown)}")
        for field, least, most in (("retries", 0, 100), ("backoff_seconds", 1, 3_600)):
            if not least <= getattr(self, field) <= most:
                raise ValueError(f"`cluster.{field}` must be {least} to {most}")
        for field, pattern, shape in (
            ("shared_memory", QUANTITY, "a size with its unit, e.g. 2Gi"),
            ("image_pull_secret", NAME, "a secret's name"),
            ("accelerator", r"[\w.-]+(/[\w.-]+)?", "a kind of GPU, e.g. nvidia.com/gpu"),
        ):
            if getattr(self, field):
                _parse(field, pattern, shape, getattr(self, field))
        # Told now, not when the first of them is used.
        self._check_variables()
        volumes = self.parsed_volumes()
        for names in ([v.claim for v in volumes], [v.path for v in volumes]):
            _no_twins("volumes", names)  # Kubernetes refuses a pod with either
        _no_twins("node_selector", [text.split("=")[0] for text in self.node_selector])
        self.parsed_node_selector(), self.parsed_tolerations()

    def _check_variables(self) -> None:
        self.parsed_environment()
        names = [text.split("=")[0] for text in self.environment]
        names += [secret.variable for secret in self.parsed_secrets()]
        _no_twins("environment` and `cluster.secrets", names)
        for name in names:
            if name in RESERVED_VARIABLES or name.startswith("KFP_"):
                raise ValueError(
                    f"`cluster.environment` and `cluster.secrets` must leave {name} as it is: the "
                    "image's software needs it"
                )

    def parsed_environment(self) -> dict[str, str]:
        """`environment` by name."""
        pattern = r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)"
        found = [_parse("environment", pattern, "NAME=VALUE", text) for text in self.environment]
        return {item["name"]: item["value"] for item in found}

    def parsed_secrets(self) -> list[Secret]:
        """`secrets`, taken apart."""
        pattern = rf"(?P<name>{NAME})/(?P<key>[\w.-]+)=(?P<variable>[A-Za-z_][A-Za-z0-9_]*)"
        shape = "NAME/KEY=VARIABLE"
        return [Secret(**_parse("secrets", pattern, shape, text)) for text in self.secrets]

    def parsed_volumes(self) -> list[Volume]:
        """`volumes`, taken apart."""
        pattern = rf"(?P<claim>{NAME}):(?P<path>/[^:]+)"
        found = [_parse("volumes", pattern, "CLAIM:/PATH", text) for text in self.volumes]
        return [Volume(item["claim"], _mount_path(item["path"])) for item in found]

    def parsed_node_selector(self) -> dict[str, str]:
        """`node_selector` by label."""
        pattern = rf"(?P<label>{KEY})=(?P<value>({WORD})?)"
        shape = f"LABEL=VALUE, each {WORDS}"
        found = [_parse("node_selector", pattern, shape, text) for text in self.node_selector]
        return {item["label"]: item["value"] for item in found}

    def parsed_tolerations(self) -> list[Toleration]:
        """`tolerations`, taken apart."""
        effects = "NoSchedule|PreferNoSchedule|NoExecute"
        pattern = rf"(?P<key>{KEY})(=(?P<value>({WORD})?))?:(?P<effect>{effects})"
        shape = (
            f"KEY=VALUE:EFFECT or KEY:EFFECT, EFFECT one of {effects.replace('|', ', ')}, the "
            f"others {WORDS}"
        )
        return [Toleration(**_parse("tolerations", pattern, shape, t)) for t in self.tolerations]


def _mount_path(path: str) -> str:
    """The path as Kubernetes compares it; raises ValueError if no volume may be mounted there."""
    plain = path.rstrip("/")
    if not plain or {"", ".", ".."} & set(plain.split("/")[1:]):
        raise ValueError(f"`cluster.volumes` must have a plain path. Received: {path!r}")
    if any(f"{plain}/".startswith(f"{folder}/") for folder in RESERVED_FOLDERS):
        raise ValueError(
            f"`cluster.volumes` must not be mounted at {path}: Kubeflow or the image has files "
            f"there. Any other path will do, e.g. /mnt{plain}"
        )
    return plain


def _parse(field: str, pattern: str, shape: str, text: str) -> dict[str, str]:
    match = re.fullmatch(pattern, text, re.ASCII)
    if not match:
        raise ValueError(f"`cluster.{field}` must be {shape}. Received: {text!r}")
    return match.groupdict(default="")


def _no_twins(field: str, names: list[str]) -> None:
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"`cluster.{field}` must have each name once. Received: {twins}")


def check_used(cluster: ClusterConfig, nodes: tuple[str, ...]) -> None:
    """Raises ValueError for settings that a pipeline of these nodes makes no use of."""
    if TUNER not in nodes and cluster.resources[TUNER] != DEFAULT_RESOURCES[TUNER]:
        raise ValueError("--cluster.resources.Tuner: there is no Tuner without --tuner.enable True")
    gpus = {node: resources.gpus for node, resources in cluster.resources.items() if resources.gpus}
    for node in gpus.keys() - set(TRAINING):
        raise ValueError(
            f"--cluster.resources.{node}.gpus {gpus[node]}: {' and '.join(TRAINING)} alone use GPUs"
        )
    if cluster.accelerator and not gpus:
        raise ValueError(
            f"--cluster.accelerator {cluster.accelerator}: nobody asks for one; say how many, e.g. "
            "--cluster.resources.Trainer.gpus 1"
        )


def with_minio(cluster: ClusterConfig, uris: tuple[str, ...]) -> ClusterConfig:
    """The settings with what opens Kubeflow's own object store, where one of `uris` is in it."""
    if not any(uri.startswith(MINIO) for uri in uris):
        return cluster
    given = {*cluster.parsed_environment(), *(s.variable for s in cluster.parsed_secrets())}
    keys = {secret.split("=")[1] for secret in MINIO_SECRETS}
    endpoint = () if ENDPOINT in given else (f"{ENDPOINT}={MINIO_ENDPOINT}",)
    return dataclasses.replace(
        cluster,
        environment=cluster.environment + endpoint,
        # One key of somebody's with another's second one opens nothing.
        secrets=cluster.secrets + (() if keys & given else MINIO_SECRETS),
    )
