"""Loading published weights: what fits, and what is refused without touching the model."""

import json
import sys

import numpy as np
import pytest

from models import fishnet, torch_checkpoint


@pytest.fixture(scope="module")
def built():
    return fishnet.build("fishnet_tiny", 10, (16, 16, 3))


@pytest.fixture
def model(built):
    """A model without a weight that is of any use."""
    built.set_weights([np.full(weight.shape, np.nan) for weight in built.weights])
    return built


@pytest.fixture
def state(model):
    """Entries that fit `model`, and are not those it has."""
    rng = np.random.RandomState(1)
    return {
        key: rng.standard_normal(shape).astype("float32")
        for key, shape in torch_checkpoint.state_shapes(model).items()
    }


def assert_loaded(model, state):
    for key, variable in torch_checkpoint.variables(model).items():
        expected = state[key]
        if expected.ndim == 4:
            expected = np.moveaxis(expected, (0, 1), (3, 2))
        np.testing.assert_array_equal(variable, expected, err_msg=key)


def load_refused(model, path, error, message):
    before = model.get_weights()
    with pytest.raises(error, match=message):
        torch_checkpoint.load(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("counters", [True, False])
def test_loads_npz(prefix, counters, model, state, tmp_path):
    entries = {prefix + key: array for key, array in state.items()}
    if counters:
        entries[f"{prefix}conv1.1.num_batches_tracked"] = np.zeros((), "int64")
    np.savez(tmp_path / "weights.npz", **entries)
    torch_checkpoint.load(model, tmp_path / "weights.npz")
    assert_loaded(model, state)


def test_names_all_that_does_not_fit_and_sets_nothing(model, state, tmp_path):
    del state["conv1.0.weight"], state["conv1.1.running_var"]
    state["fish.fish.9.0.0.bn1.weight"] = np.zeros(16, "float32")
    state["fish.fish.6.4.1.bias"] = np.zeros(20, "float32")
    state["conv2.0.weight"] = state["conv2.0.weight"].transpose(2, 3, 1, 0)
    np.savez(tmp_path / "weights.npz", **state)
    with pytest.raises(ValueError, match="weights of fishnet_tiny") as refusal:
        torch_checkpoint.load(model, tmp_path / "weights.npz")
    assert str(refusal.value).splitlines()[1:] == [
        "  missing: conv1.0.weight (8, 3, 3, 3)",
        "  missing: conv1.1.running_var (8,)",
        "  unknown: fish.fish.9.0.0.bn1.weight (16,)",
        "  other shape: conv2.0.weight (3, 3, 8, 8), where the model has (8, 8, 3, 3)",
        "  other shape: fish.fish.6.4.1.bias (20,), where the model has (10,)",
    ]
    load_refused(model, tmp_path / "weights.npz", ValueError, "missing")


def test_refuses_other_classes(state, tmp_path):
    np.savez(tmp_path / "weights.npz", **state)
    other = fishnet.build("fishnet_tiny", 20, (16, 16, 3))
    message = r"fish.fish.6.4.1.weight \(10, 72, 1, 1\), where the model has \(20, 72, 1, 1\)"
    load_refused(other, tmp_path / "weights.npz", ValueError, message)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("weights.npz", None, FileNotFoundError, "`path` must be a file. Received: .*weights.npz"),
        ("weights.h5", b"", ValueError, r"`path` must end in .npz, .tar, .pth. Received: .*h5"),
        ("weights.npz", b"", ValueError, "`path` must be a checkpoint. Received: .*EOFError"),
        ("weights.npz", b"no archive", ValueError, "`path` must be a checkpoint"),
        ("weights.npz", b"PK\3\4 cut off", ValueError, "`path` must be a checkpoint"),
    ],
)
def test_refuses_what_is_no_checkpoint(name, content, error, message, model, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    load_refused(model, tmp_path / name, error, message)


def test_says_what_to_install_for_pytorch_files(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.tar").write_bytes(b"")
    load_refused(
        model, tmp_path / "weights.tar", ImportError, r"pip install 'fishnet-tfx\[torch\]'"
    )


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs the package torch (EXTRAS=torch make setup)")


@pytest.mark.parametrize("zipped", [True, False])  # False: as PyTorch wrote before 1.6
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("suffix", [".tar", ".pth"])
def test_loads_pytorch_files(suffix, whole, zipped, torch, model, state, tmp_path):
    tensors = {f"module.{key}": torch.from_numpy(array) for key, array in state.items()}
    tensors["module.conv1.1.num_batches_tracked"] = torch.tensor(7)
    checkpoint = {"epoch": 100, "state_dict": tensors, "best_prec1": 0.0} if whole else tensors
    path = tmp_path / f"weights{suffix}"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    torch_checkpoint.load(model, path)
    assert_loaded(model, state)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\3\4 cut off"])
def test_refuses_damaged_pytorch_files(content, torch, model, tmp_path):
    (tmp_path / "weights.tar").write_bytes(content)
    load_refused(model, tmp_path / "weights.tar", ValueError, "`path` must be a checkpoint")


def test_refuses_pytorch_files_of_other_things(torch, model, tmp_path):
    torch.save([1, 2], tmp_path / "weights.tar")
    load_refused(model, tmp_path / "weights.tar", ValueError, "`path` must be a checkpoint")


# ---- writing


@pytest.fixture
def trained(model, state):
    """A model whose weights are `state`."""
    torch_checkpoint.assign(model, state)
    return model


def emptied(model):
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.weights])
    return model


def test_what_is_written_is_read_again(trained, state, tmp_path):
    torch_checkpoint.save(trained, tmp_path / "weights.npz")
    torch_checkpoint.load(emptied(trained), tmp_path / "weights.npz")
    assert_loaded(trained, state)


def test_writes_every_published_key(reference, tmp_path):
    model = fishnet.build("fishnet99", 200, (64, 64, 3))
    torch_checkpoint.save(model, tmp_path / "weights.npz")
    published = json.loads((reference / "fishnet99_state.json").read_text())
    with np.load(tmp_path / "weights.npz") as written:
        assert set(written) == {key for key, *_ in published}
        assert written["conv1.1.num_batches_tracked"].dtype == np.int64


@pytest.mark.parametrize("suffix", [".tar", ".pth"])
def test_pytorch_reads_what_is_written(suffix, torch, trained, state, tmp_path):
    path = tmp_path / f"weights{suffix}"
    torch_checkpoint.save(trained, path)
    tensors = torch.load(path, weights_only=True)
    for key, array in state.items():
        np.testing.assert_array_equal(tensors[key].numpy(), array, err_msg=key)
    torch_checkpoint.load(emptied(trained), path)
    assert_loaded(trained, state)


def test_writes_no_other_kind_of_file(model, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in .npz, .tar, .pth. Received: .*\.h5"):
        torch_checkpoint.save(model, tmp_path / "weights.h5")
    assert not list(tmp_path.iterdir())


def test_says_what_to_install_to_write_pytorch_files(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'fishnet-tfx\[torch\]'"):
        torch_checkpoint.save(model, tmp_path / "weights.pth")
