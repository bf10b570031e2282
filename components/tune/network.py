"""What a network costs in use, before it is trained: its weights, and the time of an answer."""

import dataclasses
import statistics
import time

import keras
import tensorflow as tf

from components.train.inference import fold_batch_normalization, freeze

WARM_UP = 5  # answers that are not counted; the first one traces the graph
TIMED = 30


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a network costs.

    Attributes:
      parameters: Number of its weights.
      latency_ms: Median time for one image on this machine's CPU, as it is exported: float32, batch
        normalisation folded; milliseconds.
    """

    parameters: int
    latency_ms: float


def measure(network: keras.Model) -> Costs:
    """What `network` costs.

    Args:
      network: In float32, with Keras's own batch normalisation: pixels [batch, height, width, 3] →
        logits.
    """
    with tf.device("/CPU:0"):
        logits, _ = freeze(fold_batch_normalization(network))
        answer = tf.function(logits, autograph=False)
        image = tf.zeros([1, *network.input_shape[1:]])
        seconds = []
        for _ in range(WARM_UP + TIMED):
            started = time.perf_counter()
            answer(image).numpy()
            seconds.append(time.perf_counter() - started)
    return Costs(network.count_params(), 1e3 * statistics.median(seconds[WARM_UP:]))
