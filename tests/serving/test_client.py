"""The client's own part: requests of a size, attempts, one deadline, files."""

import itertools

import pytest

from serving import client as client_module
from serving import images
from serving.answer import InvalidRequestError, Prediction, Refusal, answer_each
from serving.client import ATTEMPTS, FIRST_PAUSE, MAX_BYTES, MAX_IMAGES, Client, split
from serving.transport import DeadlineError, UnavailableError


class Clock:
    """Stands for the module `time`: sleeping is instant, and remembered."""

    def __init__(self):
        self.now, self.sleeps = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(client_module, "time", clock)
    return clock


class Scripted:
    """A transport that takes `seconds` for an answer, or for an error of its script."""

    def __init__(self, clock, errors=(), seconds=0.0):
        self.clock, self.errors, self.seconds = clock, iter(errors), seconds
        self.allowed, self.requests = [], []

    def predict(self, contents, seconds):
        self.allowed.append(seconds)
        self.requests.append(len(contents))
        self.clock.now += self.seconds
        error = next(self.errors, None)
        if error:
            raise error
        return [Prediction((content.decode(),), (1.0,)) for content in contents]

    def close(self):
        self.closed = True


def contents(count):
    return [str(index).encode() for index in range(count)]


def test_requests_are_of_a_size_and_answers_in_order(clock):
    transport = Scripted(clock)
    answers = Client(transport).classify(contents(2 * MAX_IMAGES + 3))
    assert transport.requests == [MAX_IMAGES, MAX_IMAGES, 3]
    assert [answer.classes for answer in answers] == [(str(i),) for i in range(len(answers))]


def test_split_by_bytes():
    third = bytes(MAX_BYTES // 3)
    sizes = [len(part) for part in split([third] * 7)]
    assert sizes == [3, 3, 1]
    huge = bytes(MAX_BYTES + 1)
    assert [len(part) for part in split([b"", huge, huge, b""])] == [1, 1, 1, 1]
    assert list(split([])) == []


def test_pauses_grow_and_are_random(clock, monkeypatch):
    drawn = []

    def uniform(low, high):
        drawn.append((low, high))
        return high

    monkeypatch.setattr(client_module.random, "uniform", uniform)
    transport = Scripted(clock, itertools.repeat(UnavailableError("away")))
    with pytest.raises(UnavailableError, match="away"):
        Client(transport).classify(contents(1))
    assert len(transport.requests) == ATTEMPTS
    assert clock.sleeps == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8)]
    assert {low for low, _ in drawn} == {0}


def test_attempts_end_at_the_deadline(clock, monkeypatch):
    monkeypatch.setattr(client_module.random, "uniform", lambda low, high: high)
    transport = Scripted(clock, itertools.repeat(UnavailableError("away")), seconds=2)
    with pytest.raises(UnavailableError, match="away"):
        Client(transport, timeout=5).classify(contents(1))
    assert transport.allowed == pytest.approx([5, 2.8, 0.4])
    assert sum(clock.sleeps) + 3 * 2 <= 5 + 2


def test_one_deadline_for_all_requests(clock):
    transport = Scripted(clock, seconds=2)
    with pytest.raises(DeadlineError, match=r"not all was answered within 5\.0 s"):
        Client(transport, timeout=5).classify(contents(9 * MAX_IMAGES))
    assert transport.allowed == [5, 3, 1]


@pytest.mark.parametrize("error", [DeadlineError("slow"), InvalidRequestError("bad")])
def test_only_unavailability_is_tried_again(clock, error):
    transport = Scripted(clock, [error])
    if isinstance(error, DeadlineError):
        with pytest.raises(DeadlineError):
            Client(transport).classify(contents(1))
    else:
        assert Client(transport).classify(contents(1)) == [Refusal("bad")]
    assert len(transport.requests) == 1
    assert clock.sleeps == []


def test_closes_its_transport(clock):
    transport = Scripted(clock)
    with Client(transport):
        pass
    assert transport.closed


@pytest.mark.parametrize("bad", [set(), {0}, {31}, {3, 4, 20}, set(range(32))])
def test_bad_images_are_found(bad):
    asked = []

    def predict(batch):
        asked.append(len(batch))
        if bad & set(batch):
            raise InvalidRequestError("bad")
        return [Prediction((str(content),), (1.0,)) for content in batch]

    answers = answer_each(predict, range(32))
    assert answers == [
        Refusal("bad") if index in bad else Prediction((str(index),), (1.0,)) for index in range(32)
    ]
    assert len(asked) <= 1 + 10 * len(bad)  # not one by one


def test_files(clock, photo_files, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    transport = Scripted(clock)
    transport.predict = lambda batch, seconds: [Prediction((str(len(x)),), (1.0,)) for x in batch]
    files = [photo_files[0], tmp_path / "nosuch.png", text, tmp_path, *photo_files[1:]]
    answered = list(Client(transport).classify_files(files))
    assert [file for file, _ in answered] == files
    assert [answer for _, answer in answered] == [
        Prediction((str(photo_files[0].stat().st_size),), (1.0,)),
        Refusal("cannot be read: No such file or directory"),
        Refusal("is not a JPEG or PNG file"),
        Refusal("cannot be read: Is a directory"),
        *(Prediction((str(file.stat().st_size),), (1.0,)) for file in photo_files[1:]),
    ]


def test_images_of_more_pixels_are_sent_where_they_may_be(clock, photo_files):
    transport = Scripted(clock)
    transport.predict = lambda batch, seconds: [Prediction((), ())] * len(batch)
    for max_pixels, kind in ((255, Refusal), (256, Prediction)):
        client = Client(transport, max_pixels=max_pixels)
        [(_, answer)] = client.classify_files(photo_files[:1])  # 16×16 pixels
        assert isinstance(answer, kind)


def test_files_are_read_as_they_are_sent(clock, photo_files, monkeypatch):
    """However many files there are, few of them are in memory."""
    reads = []
    monkeypatch.setattr(images, "read", lambda path, max_pixels: reads.append(path) or b"0")
    answered = Client(Scripted(clock)).classify_files(itertools.repeat(photo_files[0]))
    next(answered)
    assert len(reads) == MAX_IMAGES
