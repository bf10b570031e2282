"""A pushed model behind the double, and in a batch: the local model's answers everywhere."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import ROOT
from double import Double, serve_grpc, serve_rest

from serving.answer import Prediction, Refusal
from serving.batch import main
from serving.client import Client
from serving.rest import Rest

pytestmark = pytest.mark.slow

IMAGES = 2_000
NO_IMAGE = "is not a JPEG or PNG file"


@pytest.fixture(scope="module")
def clients(pushed, local_model):
    """Clients of a server with the pushed model: by REST, by gRPC."""
    from serving.rpc import Grpc

    double = Double({"fishnet": {int(pushed.name): local_model}}, {})
    rest = serve_rest(double)
    grpc, port = serve_grpc(double)
    with (
        Client(Rest("http://{}:{}".format(*rest.server_address)), 60) as by_rest,
        Client(Grpc(f"127.0.0.1:{port}"), 60) as by_grpc,
    ):
        yield by_rest, by_grpc
    rest.shutdown()
    grpc.stop(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Many images in folders of folders, among them bad ones and files that are none."""
    import untrained

    folder = tmp_path_factory.mktemp("bilder [alle]")
    for index, image in enumerate(untrained.images(IMAGES, 16)):
        path = folder / f"{index % 3}" / f"{index % 7}" / f"{index}.{('png', 'JPG')[index % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    (folder / "0" / "text.png").write_text("no image")
    whole = (folder / "1" / "1" / "1.JPG").read_bytes()
    (folder / "0" / "broken.jpeg").write_bytes(whole[:-10])  # its header is whole
    (folder / "notes.txt").write_text("not an image's name")
    for junk in (".ipynb_checkpoints/1.png", "0/._0.png", "__MACOSX/0.png"):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(whole)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "linked.jpg").write_bytes(whole)
    (elsewhere / "other.webp").write_bytes(b"RIFF")
    (folder / "2" / "link").symlink_to(elsewhere)
    return folder


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "serving.batch", *map(str, arguments)]


@pytest.fixture(scope="module")
def written(pushed, folder, tmp_path_factory):
    """The file that batch prediction wrote."""
    output = tmp_path_factory.mktemp("output") / "new" / "predictions.jsonl"
    flags = ("--source", folder, "--model", pushed, "--output", output)
    done = subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True)
    told = f"{output}: {IMAGES + 4:,} images, 3 of them with an error\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert list(output.parent.iterdir()) == [output]
    return output


def close(predictions):
    return [
        Prediction(prediction.classes, pytest.approx(prediction.scores, abs=1e-5))
        for prediction in predictions
    ]


def test_client_gives_the_local_models_answers(clients, local_model, photos):
    outputs = local_model(photos)
    assert np.std(outputs["scores"][:, 0]) > 0.01  # were all alike, nothing would be shown
    wanted = [
        Prediction(tuple(name.decode() for name in names), tuple(scores))
        for names, scores in zip(outputs["classes"], outputs["scores"].tolist(), strict=True)
    ]
    for client in clients:
        assert client.classify(photos) == close(wanted)


def test_bad_image_among_others(clients, photos):
    broken = photos[1][: len(photos[1]) // 2]
    for client in clients:
        answers = client.classify([*photos[:4], broken, *photos[4:]])
        assert answers[4] == Refusal("jpeg::Uncompress failed. Invalid JPEG data or crop window.")
        assert answers[:4] + answers[5:] == close(client.classify(photos))


def test_batch_gives_the_servers_answers(clients, folder, written):
    by_rest, by_grpc = clients
    lines = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    batched = {line.pop("file"): line for line in lines}
    files = [folder / path for path in batched]
    assert len(lines) == len(batched) == IMAGES + 4
    assert len({line["classes"][0] for line in lines if "classes" in line}) > 1

    for client, some in ((by_grpc, files[:200]), (by_rest, files)):
        for path, answer in client.classify_files(some):
            line = batched[str(path.relative_to(folder))]
            if isinstance(answer, Refusal):
                assert line == {"error": answer.error}
            else:
                assert line["classes"] == list(answer.classes)
                assert line["scores"] == pytest.approx(answer.scores, abs=1e-5)
    assert batched["0/text.png"] == batched["2/link/other.webp"] == {"error": NO_IMAGE}
    assert batched["2/link/linked.jpg"]["classes"] == batched["1/1/1.JPG"]["classes"]
    assert "Invalid JPEG data" in batched["0/broken.jpeg"]["error"]


def test_killed_batch_leaves_the_old_predictions(pushed, folder, tmp_path):
    output = tmp_path / "predictions.jsonl"
    output.write_text("old")
    with subprocess.Popen(
        command("--source", folder, "--model", pushed, "--output", output), cwd=ROOT
    ) as run:
        while not any(tmp_path.glob("*/*/*")):  # what is being written
            assert run.poll() is None
            time.sleep(0.01)
        run.kill()
    assert output.read_text() == "old"


def run_here(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["batch", *map(str, arguments)])
    main()


def test_predictions_are_replaced(pushed, photo_files, tmp_path, monkeypatch):
    output = tmp_path / "predictions.jsonl"
    output.write_text("old")
    source = f"{photo_files[0].parent}/"  # as a shell completes it
    flags = ("--source", source, "--model", pushed, "--output", output, "--batch-size", 3)
    run_here(monkeypatch, *flags)
    names = [json.loads(line)["file"] for line in output.read_text("utf-8").splitlines()]
    assert sorted(names) == sorted(path.name for path in photo_files)


def test_folder_without_images(pushed, tmp_path, monkeypatch, capsys):
    (tmp_path / "notes.txt").touch()
    flags = ("--source", tmp_path, "--model", pushed, "--output", tmp_path / "o.jsonl")
    with pytest.raises(SystemExit) as stop:
        run_here(monkeypatch, *flags)
    assert stop.value.code == 1
    wanted = f"error: nothing was written: {tmp_path}: no .jpg, .jpeg, .png, .gif, "
    assert capsys.readouterr().err.startswith(wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
