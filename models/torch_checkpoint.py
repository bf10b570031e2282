"""Weights of a model that `models.fishnet` has built, under the published PyTorch network's keys.

A layer that has weights bears the name of its PyTorch module. The key of an entry is the layer's
name and PyTorch's name of the weight, e.g. `fish.fish.0.0.0.bn1.running_mean`.
"""

from pathlib import Path
from types import ModuleType

import keras
import numpy as np

State = dict[str, np.ndarray]  # PyTorch's key → weight in PyTorch's layout

_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
SUFFIXES = (".npz", ".tar", ".pth")
_COUNTER = "num_batches_tracked"  # PyTorch's batch normalisation has one; nothing here does


def load(model: keras.Model, path: str | Path) -> None:
    """Set all weights of `model` to those of a checkpoint; if anything does not match, set none.

    Example:
        >>> model = fishnet.build("fishnet150", num_classes=1000)
        >>> load(model, "fishnet150_ckpt.tar")

    Args:
        model: A model of `fishnet.build`, for as many classes as the checkpoint.
        path: As for `read`.

    Raises:
        FileNotFoundError: If `path` is not a file.
        ImportError: If `path` ends in `.tar` or `.pth` and torch is not installed.
        ValueError: If `path` is not a checkpoint, or if an entry is missing, unknown to the model
            or of another shape. The message names each such entry.
    """
    found = read(path)
    if faults := mismatches(state_shapes(model), found):
        raise ValueError(
            f"`path` must hold the weights of {model.name}, neither fewer nor more. "
            f"Received: path={path}\n  " + "\n  ".join(faults)
        )
    assign(model, found)


def save(model: keras.Model, path: str | Path) -> None:
    """Write the weights of `model` as a checkpoint that PyTorch's FishNet and `load` read.

    Example:
        >>> save(model, "weights.npz")

    Args:
        model: A model of `fishnet.build`.
        path: `.npz`, or `.tar` or `.pth`, as PyTorch saves it (needs the package torch): the state
            dict. It has PyTorch's counters of batches too, which are 0.

    Raises:
        ImportError: If `path` ends in `.tar` or `.pth` and torch is not installed.
        OSError: If `path` cannot be written.
        ValueError: If `path` has another suffix.
    """
    path = Path(path)
    _check_suffix(path)
    counters = {
        key.removesuffix("running_mean") + _COUNTER: np.zeros((), np.int64)
        for key in variables(model)
        if key.endswith(".running_mean")
    }
    entries = state(model) | counters
    if path.suffix == ".npz":
        np.savez(path, **entries)
        return
    torch = _import_torch(path)
    torch.save({key: torch.from_numpy(array) for key, array in entries.items()}, path)


def read(path: str | Path) -> State:
    """The weights in a checkpoint, under the keys that a model on one device gives them.

    Args:
        path: `.tar` or `.pth`, as PyTorch saves it (needs the package torch): the state dict, or a
            dict that holds it as "state_dict". Or `.npz` with the same keys. The keys may begin
            with "module."; those in `num_batches_tracked` have no use here and may be absent.

    Raises:
        FileNotFoundError: If `path` is not a file.
        ImportError: If `path` ends in `.tar` or `.pth` and torch is not installed.
        ValueError: If `path` is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={path}")
    _check_suffix(path)
    try:
        entries = (_read_npz if path.suffix == ".npz" else _read_torch)(path)
    except ImportError:
        raise
    except Exception as error:  # on a damaged file both readers raise whatever they stumble over
        raise ValueError(
            f"`path` must be a checkpoint. Received: path={path}, at which reading failed with "
            f"{type(error).__name__}: {error}"
        ) from error
    return {
        key.removeprefix("module."): array
        for key, array in entries.items()
        if not key.endswith(f".{_COUNTER}")
    }


def state(model: keras.Model) -> State:
    """The weights of `model`."""
    return {
        key: _to_torch(keras.ops.convert_to_numpy(variable))
        for key, variable in variables(model).items()
    }


def assign(model: keras.Model, state: State) -> None:
    """Set the weights of `model` that `state` has; the others stay as they are."""
    known = variables(model)
    for key, array in state.items():
        known[key].assign(_to_keras(array))


def mismatches(shapes: dict[str, tuple[int, ...]], state: State) -> list[str]:
    """What keeps `state` from being the weights of these keys and shapes; a line for each entry."""
    return [
        *(f"missing: {key} {shape}" for key, shape in shapes.items() if key not in state),
        *(f"unknown: {key} {array.shape}" for key, array in state.items() if key not in shapes),
        *(
            f"other shape: {key} {state[key].shape}, where the model has {shape}"
            for key, shape in shapes.items()
            if key in state and state[key].shape != shape
        ),
    ]


def state_shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """The entries of a checkpoint of `model`: PyTorch's key → shape in PyTorch's layout."""
    return {key: _torch_shape(tuple(variable.shape)) for key, variable in variables(model).items()}


def variables(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights of `model`, under the keys that PyTorch has for them."""
    return {
        f"{layer.name.replace('_', '.')}.{_TORCH_NAMES[variable.name]}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(kh, kw, in, out) → (out, in, kh, kw); the shape of anything but a kernel stays."""
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape


def _to_keras(array: np.ndarray) -> np.ndarray:
    """A kernel (out, in, kh, kw) → (kh, kw, in, out); anything else stays."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _to_torch(array: np.ndarray) -> np.ndarray:
    """A kernel (kh, kw, in, out) → (out, in, kh, kw); anything else stays."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"`path` must end in {', '.join(SUFFIXES)}. Received: path={path}")


def _read_npz(path: Path) -> State:
    with np.load(path) as archive:
        return dict(archive)


def _read_torch(path: Path) -> State:
    torch = _import_torch(path)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    entries = checkpoint.get("state_dict", checkpoint)
    return {key: tensor.numpy(force=True) for key, tensor in entries.items()}


def _import_torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path.name} needs the package torch: pip install 'fishnet-tfx[torch]', or take .npz "
            "files; where torch is installed, either is made of the other."
        ) from error
    return torch
