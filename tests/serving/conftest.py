"""What the tests of serving share: images, the double of TF Serving, a pushed model."""

import io

import numpy as np
import pytest
from double import Double, load, made_up, serve_grpc, serve_rest
from PIL import Image

SIDE = 16  # pixels


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Image files: PNG and JPEG, grey and colour, small, wide and tall."""
    random = np.random.default_rng(3)

    def encode(file_format: str, *shape: int) -> bytes:
        buffer = io.BytesIO()
        coarse = random.integers(0, 256, (4, 4, *shape[2:])).astype(np.uint8)
        Image.fromarray(coarse).resize(shape[:2]).save(buffer, file_format)
        return buffer.getvalue()

    shapes = [(16, 16, 3), (40, 90, 3), (33, 20), (64, 48, 3), (5, 5)]
    return [encode(kind, *shape) for shape in shapes for kind in ("PNG", "JPEG")]


@pytest.fixture(scope="session")
def photo_files(photos, tmp_path_factory):
    """The images as files."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{index}.{'jpg' if index % 2 else 'png'}" for index in range(len(photos))]
    for path, photo in zip(paths, photos, strict=True):
        path.write_bytes(photo)
    return paths


@pytest.fixture
def double():
    """A server of versions 3 and 5, whose answers differ."""
    double = Double({"fishnet": {3: made_up(3), 5: made_up(5)}}, {"stable": 3})
    yield double
    double.stopping.set()


@pytest.fixture
def url(double):
    """Its REST address."""
    server = serve_rest(double)
    yield "http://{}:{}".format(*server.server_address)
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(double):
    """Its gRPC address."""
    server, port = serve_grpc(double)
    yield f"127.0.0.1:{port}"
    double.stopping.set()
    server.stop(0)


@pytest.fixture(scope="session")
def pushed(tmp_path_factory):
    """The folder of a pushed version."""
    import untrained

    folder = tmp_path_factory.mktemp("serving") / "fishnet" / "1795393596"
    untrained.push(untrained.small_network(SIDE), folder)
    return folder


@pytest.fixture(scope="session")
def local_model(pushed):
    """Function: images → the pushed model's outputs."""
    return load(pushed)
