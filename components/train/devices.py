"""On what a network is trained, and in which precision."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

AUTO = "auto"
FLOAT32 = "float32"
BFLOAT16 = "bfloat16"

# What multiplies in bfloat16, by its name in Linux's list of a processor's flags.
CPU_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512-BF16"}
CPU_INFO = Path("/proc/cpuinfo")
GPU_CAPABILITY = (8, 0)  # NVIDIA's Ampere, the first with bfloat16; a T4, of 7.5, casts to and fro

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """Of the arithmetic in training; weights are float32 always.

    Args:
      name: "float32" or "bfloat16".
      reason: Of the choice, for people.
    """

    name: str
    reason: str

    @property
    def dtype_policy(self) -> str:
        """Keras's name for it."""
        return f"mixed_{BFLOAT16}" if self.name == BFLOAT16 else FLOAT32

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def strategy() -> tf.distribute.Strategy:
    """All GPUs of this host where there are several, else TensorFlow's own choice of one device."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def precision(wanted: str) -> Precision:
    """What the config's `precision` is on this machine: for "auto", the faster one.

    bfloat16 on a device that has no unit for it is slower than float32; it is used where the config
    says so, with a warning.
    """
    fit, reason = _computes_in_bfloat16()
    if wanted == AUTO:
        return Precision(BFLOAT16 if fit else FLOAT32, reason)
    if wanted == BFLOAT16 and not fit:
        logger.warning(f"bfloat16 is slower than float32 here: {reason}")
        return Precision(wanted, f"as configured, but {reason}")
    return Precision(wanted, "as configured")


def describe() -> str:
    """The devices that `strategy` will use, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return ", ".join(_details(gpu).get("device_name", gpu.name) for gpu in gpus)


def _computes_in_bfloat16() -> tuple[bool, str]:
    """Whether the devices of `strategy` have units for bfloat16, and what tells so."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        least = min(_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus)
        fit = least >= GPU_CAPABILITY
        needs = "" if fit else f", and bfloat16 needs {_dotted(GPU_CAPABILITY)}"
        return fit, f"the GPU's compute capability is {_dotted(least)}{needs}"
    flags = _cpu_flags()
    found = [unit for flag, unit in CPU_UNITS.items() if flag in flags]
    if found:
        return True, f"the CPU has {' and '.join(found)}"
    return False, f"the CPU has neither {' nor '.join(CPU_UNITS.values())}"


def _cpu_flags() -> set[str]:
    """The processor's flags; none where Linux does not list them."""
    if not CPU_INFO.exists():
        return set()
    for line in CPU_INFO.read_text("utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _details(gpu: tf.config.PhysicalDevice) -> dict[str, Any]:
    return tf.config.experimental.get_device_details(gpu)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
