"""REST and gRPC against the double: the same answers, the same errors."""

import socket
import subprocess
import sys
import threading

import pytest
from double import HTTP_STATUS, StatusError, free_port, made_up, monotonic_seconds

from serving.answer import Prediction
from serving.client import Client
from serving.rest import Rest
from serving.transport import (
    DeadlineError,
    ModelSpec,
    NotFoundError,
    ServingError,
    UnavailableError,
)


def grpc(address, model):
    from serving.rpc import Grpc  # imports TensorFlow

    return Grpc(address, model)


@pytest.fixture(params=["rest", "grpc"])
def connect(request):
    """Function: model, timeout → a client of the double, or of where nobody listens."""
    clients = []

    def connect(model=ModelSpec(), timeout=20.0, alive=True) -> Client:  # noqa: B008
        if request.param == "rest":
            url = request.getfixturevalue("url") if alive else f"http://127.0.0.1:{free_port()}"
            transport = Rest(url, model)
        else:
            to = request.getfixturevalue("address") if alive else f"127.0.0.1:{free_port()}"
            transport = grpc(to, model)
        clients.append(Client(transport, timeout).__enter__())
        return clients[-1]

    yield connect
    for client in clients:
        client.__exit__(None, None, None)


def wanted(version, photos) -> list[Prediction]:
    outputs = made_up(version)(photos)
    return [
        Prediction(tuple(name.decode() for name in names), pytest.approx(tuple(scores), abs=1e-7))
        for names, scores in zip(outputs["classes"], outputs["scores"].tolist(), strict=True)
    ]


def test_names_and_scores(connect, photos):
    assert connect().classify(photos) == wanted(5, photos)


def test_version_and_label(connect, photos):
    assert connect(ModelSpec(version=3)).classify(photos) == wanted(3, photos)
    assert connect(ModelSpec(label="stable")).classify(photos) == wanted(3, photos)


@pytest.fixture(params=["rest", "grpc"])
def transport(request):
    """Function: model → a transport to the double."""
    opened = []

    def transport(model=ModelSpec()):  # noqa: B008
        if request.param == "rest":
            opened.append(Rest(request.getfixturevalue("url"), model))
        else:
            opened.append(grpc(request.getfixturevalue("address"), model))
        return opened[-1]

    yield transport
    for one in opened:
        one.close()


def test_the_version_that_answers_is_named(transport, double):
    double.loading = {"fishnet": {7}}
    assert transport().answering(10) == ModelSpec(version=5)
    for model in (ModelSpec(version=3), ModelSpec(label="stable")):
        assert transport(model).answering(10) == model


def test_no_version_answers(transport, double):
    with pytest.raises(NotFoundError, match="does not serve model `nosuch`"):
        transport(ModelSpec("nosuch")).answering(10)
    double.models, double.loading = {"fishnet": {}}, {"fishnet": {7}}
    with pytest.raises(NotFoundError, match="no version of model `fishnet` is loaded"):
        transport().answering(10)


def test_nothing_is_asked_of_no_images(connect, double):
    assert connect().classify([]) == []
    assert double.batch_sizes == []


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (ModelSpec("nosuch"), r"does not serve model `nosuch` \(Servable not found for .*nosuch"),
        (ModelSpec(version=7), r"does not serve version 7 of model `fishnet` \(.*fishnet, 7\)"),
        (ModelSpec(label="new"), r"the version labelled `new` of model `fishnet` \(.*label: new"),
    ],
    ids=["model", "version", "label"],
)
def test_what_is_not_served(connect, double, photos, model, told):
    with pytest.raises(NotFoundError, match=told):
        connect(model).classify(photos)
    assert len(double.batch_sizes) == 1  # asking again would be in vain


def test_dead_server(connect, photos):
    client = connect(alive=False)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+ is not available \(.*refused"):
        client.classify(photos)


def test_slow_server(connect, double, photos):
    double.seconds = 30
    client = connect(timeout=0.5)

    def classify():
        with pytest.raises(DeadlineError, match=r"127\.0\.0\.1:\d+ did not answer within 0\.5 s"):
            client.classify(photos)

    assert 0.4 < monotonic_seconds(classify) < 2
    assert len(double.batch_sizes) == 1  # it has too much to do already


def test_server_that_is_away_for_a_moment(connect, double, photos):
    full = "The batch scheduling queue to which this task was submitted is full"
    double.failures = [StatusError("UNAVAILABLE", full)] * 2
    assert connect().classify(photos) == wanted(5, photos)
    assert double.batch_sizes == [len(photos)] * 3


def test_server_that_stays_away(connect, double, photos):
    double.failures = [StatusError("UNAVAILABLE", "queue is full")] * 99
    with pytest.raises(UnavailableError, match="queue is full"):
        connect().classify(photos)
    assert 2 <= len(double.batch_sizes) <= 5


def test_failing_server(connect, double, photos):
    double.failures = [StatusError("INTERNAL", "out of [[{{node x}}]]\n luck")]
    with pytest.raises(ServingError, match=r"127\.0\.0\.1:\d+ failed: .* out of luck$"):
        connect().classify(photos)
    assert len(double.batch_sizes) == 1


@pytest.mark.parametrize("bad", [0, 4, 9])
def test_a_bad_image_does_not_cost_the_others_their_answers(connect, photos, bad):
    batch = [*photos[:bad], b"GIF89a", *photos[bad + 1 :]]
    answers = connect().classify(batch)
    assert answers[bad].error == "Unknown image file format. One of JPEG, PNG, GIF, BMP required."
    del answers[bad]
    assert answers == wanted(5, photos[:bad] + photos[bad + 1 :])


def test_one_connection_for_all_requests(url, double, photos):
    with Client(Rest(url)) as client:
        for _ in range(5):
            client.classify(photos)
    assert (len(double.batch_sizes), double.connections) == (5, 1)


def test_proxy_before_a_dead_server(connect, double, photos, monkeypatch):
    monkeypatch.setitem(HTTP_STATUS, "UNAVAILABLE", 502)
    double.failures = [StatusError("UNAVAILABLE", "Bad Gateway")]
    assert connect().classify(photos) == wanted(5, photos)


@pytest.fixture
def stranger():
    """Function: answers → the URL of a server that gives one for each request, then closes."""
    sockets = []

    def start(*answers: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve():
            for answer in answers:
                connection = listening.accept()[0]
                connection.recv(10**6)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return "http://{}:{}".format(*listening.getsockname())

    yield start
    for listening in sockets:
        listening.close()


def test_server_that_breaks_off(stranger, photos):
    body = b'{"predictions": [{"classes": ["eel"], "scores": [0.5]}]}'
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with Client(Rest(stranger(b"", whole[:-20], whole))) as client:
        assert client.classify(photos[:1]) == [Prediction(("eel",), (0.5,))]


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ServingError, "'hello'.*REST addr"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello", NotFoundError, r"\(hello\)"),
        (
            b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n[]",
            ServingError,
            r"lets nobody in .*: \[\]",
        ),
    ],
    ids=["no JSON", "no TF Serving", "not allowed"],
)
def test_another_server(stranger, photos, answer, error, told):
    with Client(Rest(stranger(answer))) as client, pytest.raises(error, match=told):
        client.classify(photos[:1])


def test_another_servers_versions(stranger):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    with pytest.raises(ServingError, match=r"'\[\]'.*REST address"):
        Rest(stranger(answer)).answering(10)


def test_rest_needs_no_tensorflow():
    code = "import sys, serving.client, serving.rest, serving.command; print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "'serving.command'" in modules
    assert "'tensorflow'" not in modules
    assert "'grpc'" not in modules


def test_model_is_named_by_version_or_label():
    with pytest.raises(ValueError, match=r"not both\. Received: version=3, label='stable'"):
        ModelSpec(version=3, label="stable")
    assert ModelSpec("my net/2", label="a b").path == "/v1/models/my%20net%2F2/labels/a%20b"


def test_rest_address_is_a_url():
    with pytest.raises(ValueError, match=r"http.*Received: 'localhost:8501'"):
        Rest("localhost:8501")


@pytest.mark.parametrize("url", ["http://", "http://:8501", "http://h:99999", "http://h:x"])
def test_rest_address_without_a_host_or_with_no_such_port(url):
    with pytest.raises(ValueError, match="a REST address is like http"):
        Rest(url)
