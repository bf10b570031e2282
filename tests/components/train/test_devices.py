import pytest
import tensorflow as tf

from components.train import devices


@pytest.fixture
def gpus(monkeypatch):
    """Function: has TensorFlow see so many GPUs."""

    def set_gpus(number: int) -> None:
        found = [f"/device:GPU:{index}" for index in range(number)]
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: found)

    return set_gpus


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Function: has TensorFlow see GPUs of these capabilities, and a CPU with these flags."""

    def set_machine(flags: str = "fpu avx2", *capabilities: tuple[int, int]) -> None:
        found = {tf.config.PhysicalDevice(f"GPU:{i}", "GPU"): c for i, c in enumerate(capabilities)}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(found))
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {"compute_capability": found[gpu]},
        )
        cpu_info = tmp_path / "cpuinfo"
        cpu_info.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: many\n", "utf-8")
        monkeypatch.setattr(devices, "CPU_INFO", cpu_info)

    return set_machine


@pytest.mark.parametrize(
    ("machine_has", "chosen"),
    [
        ([], "float32: the CPU has neither AMX nor AVX-512-BF16"),
        (["fpu avx512_bf16 sse"], "bfloat16: the CPU has AVX-512-BF16"),
        (["avx512_bf16 amx_bf16"], "bfloat16: the CPU has AMX and AVX-512-BF16"),
        (
            ["amx_bf16", (7, 5)],
            "float32: the GPU's compute capability is 7.5, and bfloat16 needs 8.0",
        ),
        (["", (9, 0), (8, 0)], "bfloat16: the GPU's compute capability is 8.0"),
        (
            ["", (9, 0), (7, 0)],
            "float32: the GPU's compute capability is 7.0, and bfloat16 needs 8.0",
        ),
    ],
)
def test_auto_is_what_the_devices_compute_fast(machine, machine_has, chosen):
    machine(*machine_has)
    assert str(devices.precision("auto")) == chosen


def test_a_machine_without_the_list_of_flags_computes_in_float32(machine, monkeypatch, tmp_path):
    machine("amx_bf16")
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "none")
    assert devices.precision("auto").name == devices.FLOAT32


def test_precision_is_as_configured_and_a_slow_one_is_told(machine, caplog):
    machine("amx_bf16")
    assert str(devices.precision("float32")) == "float32: as configured"
    assert devices.precision("bfloat16").dtype_policy == "mixed_bfloat16"
    assert not caplog.text
    machine()
    assert devices.precision("bfloat16").dtype_policy == "mixed_bfloat16"
    assert "bfloat16 is slower than float32 here: the CPU has neither AMX" in caplog.text


@pytest.mark.parametrize(("number", "mirrored"), [(0, False), (1, False), (4, True)])
def test_several_gpus_are_all_used(gpus, monkeypatch, number, mirrored):
    gpus(number)
    every_gpu = object()
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: every_gpu)
    assert (devices.strategy() is every_gpu) == mirrored


def test_describe_names_the_devices(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert devices.describe() == "CPU"
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [gpu, gpu])
    details = {"device_name": "NVIDIA H200"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert devices.describe() == "NVIDIA H200, NVIDIA H200"
