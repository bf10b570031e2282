"""What the trainer's tests share: a served FishNet."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train.export import export
from components.train.warmup import write_warmup
from models import fishnet

SIDE = 16  # pixels
NAMES = ("ant", "bee", "cat", "dog", "eel", "fröschlein")


@pytest.fixture(scope="session")
def load():
    """Function: path → (function: signature, batch → its outputs; the signatures).

    It loads a SavedModel as TF Serving does: a graph and a session, none of Keras's objects.
    """
    sessions = []

    def load(path: str):
        session = tf.compat.v1.Session(graph=tf.Graph())
        sessions.append(session)
        with session.graph.as_default():
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def

        def answer(signature: str, batch) -> dict[str, np.ndarray]:
            [to_feed] = signatures[signature].inputs.values()
            outputs = signatures[signature].outputs
            to_fetch = {name: tensor.name for name, tensor in outputs.items()}
            return session.run(to_fetch, {to_feed.name: batch})

        return answer, signatures

    yield load
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def train():
    """Function: name of a FishNet → it as after training, with moments of its own in each layer."""

    def train(name: str) -> keras.Model:
        keras.utils.set_random_seed(3)
        network = fishnet.build(name, len(NAMES), (SIDE, SIDE, 3), stem="small")
        random = np.random.default_rng(3)
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape))
                layer.beta.assign(random.normal(0, 0.2, layer.beta.shape))
                layer.momentum = 0.0  # the moments become those of the next batch
        noise = random.normal(size=(64, SIDE, SIDE, 3)).astype(np.float32)
        # Logits of mean 0 and standard deviation 1, so that images differ in their classes.
        logits = network(noise, training=True)
        mean, stddev = np.mean(logits, axis=0), np.std(logits, axis=0)
        kernel, bias = network.layers[-2].get_weights()
        network.layers[-2].set_weights([kernel / stddev, (bias - mean) / stddev])
        return network

    return train


@pytest.fixture(scope="session")
def serve(transform_output, encode, images, tmp_path_factory):
    """Function: network → it exported: `path`, with warm-up requests; `names`; `images`, files."""

    def serve(network: keras.Model) -> SimpleNamespace:
        path = str(tmp_path_factory.mktemp("served") / "model")
        files = [encode(image) for image in images]
        export(network, transform_output, NAMES, path)
        write_warmup(path, files[:3], SIDE, SIDE)
        return SimpleNamespace(path=path, names=NAMES, images=files)

    return serve


@pytest.fixture(scope="session")
def fish(train):
    return train("fishnet_tiny")


@pytest.fixture(scope="session")
def served_fish(fish, serve):
    return serve(fish)
