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


@pytest.mark.parametrize(
    ("number", "precision", "policy"),
    [
        (0, "auto", "float32"),
        (0, devices.FLOAT32, "float32"),
        (1, "auto", "mixed_bfloat16"),
        (1, devices.FLOAT32, "float32"),
        (1, devices.BFLOAT16, "mixed_bfloat16"),
    ],
)
def test_precision(gpus, number, precision, policy):
    gpus(number)
    assert devices.dtype_policy(precision) == policy


def test_bfloat16_is_refused_on_a_cpu(gpus):
    gpus(0)
    with pytest.raises(ValueError, match=r"`trainer\.precision` is bfloat16, which needs a GPU"):
        devices.dtype_policy(devices.BFLOAT16)


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
