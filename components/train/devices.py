"""On what a network is trained, and in which precision."""

import tensorflow as tf

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"


def strategy() -> tf.distribute.Strategy:
    """All GPUs of this host where there are several, else TensorFlow's own choice of one device."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def dtype_policy(precision: str) -> str:
    """The Keras dtype policy for the config's `precision`.

    Raises:
      ValueError: bfloat16 was asked for on a CPU, where it is slower than float32.
    """
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    if precision == BFLOAT16 and not on_gpu:
        raise ValueError(
            "`trainer.precision` is bfloat16, which needs a GPU, and TensorFlow sees none; "
            "use float32 or auto"
        )
    return "mixed_bfloat16" if on_gpu and precision != FLOAT32 else "float32"


def describe() -> str:
    """The devices that `strategy` will use, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    names = [tf.config.experimental.get_device_details(g).get("device_name", g.name) for g in gpus]
    return ", ".join(names)
