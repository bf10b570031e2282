"""Published PyTorch weights of FishNet → a model that `models.fishnet` has built.

A layer that has weights bears the name of its PyTorch module. The key of an entry is the layer's
name and PyTorch's name of the weight, e.g. `fish.fish.0.0.0.bn1.running_mean`.
"""

from pathlib import Path

import keras
import numpy as np

_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load(model: keras.Model, path: str | Path) -> None:
    """Set all weights of `model` to those of a checkpoint; if anything does not match, set none.

    Example:
        >>> model = fishnet.build("fishnet150", num_classes=1000)
        >>> load(model, "fishnet150_ckpt.tar")

    Args:
        model: A model of `fishnet.build`, for as many classes as the checkpoint.
        path: `.tar` or `.pth`, as PyTorch saves it (needs the package torch): the state dict, or a
            dict that holds it as "state_dict". Or `.npz` with the same keys. The keys may begin
            with "module."; those in `num_batches_tracked` have no use here and may be absent.

    Raises:
        FileNotFoundError: If `path` is not a file.
        ImportError: If `path` ends in `.tar` or `.pth` and torch is not installed.
        ValueError: If `path` is not a checkpoint, or if an entry is missing, unknown to the model
            or of another shape. The message names each such entry.
    """
    state = _read(Path(path))
    shapes = state_shapes(model)
    mismatches = [
        *(f"missing: {key} {shape}" for key, shape in shapes.items() if key not in state),
        *(f"unknown: {key} {array.shape}" for key, array in state.items() if key not in shapes),
        *(
            f"other shape: {key} {state[key].shape}, where the model has {shape}"
            for key, shape in shapes.items()
            if key in state and state[key].shape != shape
        ),
    ]
    if mismatches:
        raise ValueError(
            f"`path` must hold the weights of {model.name}, neither fewer nor more. "
            f"Received: path={path}\n  " + "\n  ".join(mismatches)
        )
    for key, variable in variables(model).items():
        variable.assign(_to_keras(state[key]))


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


def _read(path: Path) -> dict[str, np.ndarray]:
    """The checkpoint's entries, under the keys that a model on one device gives them."""
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={path}")
    readers = {".npz": _read_npz, ".tar": _read_torch, ".pth": _read_torch}
    if path.suffix not in readers:
        raise ValueError(f"`path` must end in {', '.join(readers)}. Received: path={path}")
    try:
        state = readers[path.suffix](path)
    except ImportError:
        raise
    except Exception as error:  # on a damaged file both readers raise whatever they stumble over
        raise ValueError(
            f"`path` must be a checkpoint. Received: path={path}, at which reading failed with "
            f"{type(error).__name__}: {error}"
        ) from error
    return {
        key.removeprefix("module."): array
        for key, array in state.items()
        if not key.endswith(".num_batches_tracked")
    }


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return dict(archive)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path.name} needs the package torch: pip install 'fishnet-tfx[torch]', or "
            "convert the file to .npz where torch is installed."
        ) from error
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    state = checkpoint.get("state_dict", checkpoint)
    return {key: tensor.numpy(force=True) for key, tensor in state.items()}
