"""What the tests of the networks share: the reference's figures and the rule for its weights."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference" / "fishnet"


@pytest.fixture(scope="session")
def reference():
    """Folder with the reference's outputs and key lists."""
    if not REFERENCE.is_dir():
        pytest.skip(f"needs the reference's figures, which are not at {REFERENCE}")
    return REFERENCE


@pytest.fixture(scope="session")
def make_state(reference):
    """The module that rebuilds the reference's weights."""
    spec = importlib.util.spec_from_file_location("make_state", reference / "make_state.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def checkpoint(make_state, tmp_path_factory):
    """Function: network and number of classes → `.npz` with the reference's weights."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def write(network, classes):
        path = folder / f"{network}_{classes}.npz"
        if not path.exists():
            np.savez(path, **make_state.build(network, classes))
        return path

    return write


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)
