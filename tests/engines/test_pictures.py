"""Pictures to a real server: all formats, invalid ones among valid ones, and memory over thousands of requests."""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from fastmar_cli.main import main
from fastmar_client import Client
from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer
from tests.engines.conftest import COLOURS as NAME
from tests.engines.test_http import TIMEOUT, post, worker_pids
from tests.pictures import COLOURS, file_of, picture

TOLERANCE = 1e-5  # of a probability: the order of additions depends on the size of the batch
BOOK = ("26_100.jpg", "4_100.jpg", "5_100.jpg")
MAX_GROWTH = 24 * 2**20  # bytes of a worker's memory over thousands of requests; allocators keep some


@pytest.fixture(scope="module")
def url(server: RunningServer) -> str:
    return f"{server.url}/predictions/{NAME}"


@pytest.fixture(scope="module")
def predictor(store: Path) -> Predictor:
    return Predictor.open(store / f"{NAME}.mar")


@pytest.fixture(scope="module")
def book(cookbook: Path) -> list[Path]:
    paths = [cookbook / name for name in BOOK]
    if missing := [path.name for path in paths if not path.exists()]:
        pytest.skip(f"the book's pictures {', '.join(missing)} are not at {cookbook}")
    return paths


def assert_same(answers: list[Any], expected: list[Any]) -> None:
    assert len(answers) == len(expected)
    for answer, other in zip(answers, expected, strict=True):
        assert answer["prediction"] == other["prediction"]
        assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=TOLERANCE)
        assert answer["warnings"] == other["warnings"]


@pytest.mark.parametrize("path", ["predict_file", "versions/1.0/predict_file"])
def test_a_file_in_a_form_on_the_paths_of_the_openapi_document(
    server: RunningServer, predictor: Predictor, path: str
) -> None:
    data = file_of(picture("red", 0))
    response = requests.post(f"{server.url}/models/{NAME}/{path}", files={"image": data}, timeout=TIMEOUT)
    assert_same([response.json()], predictor.predict([b64(data)]))
    unknown = requests.post(
        f"{server.url}/models/{NAME}/versions/9.9/predict_file", files={"image": data}, timeout=TIMEOUT
    )
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "version_not_found")
    other = requests.post(f"{server.url}/models/{NAME}/nothing", files={"image": data}, timeout=TIMEOUT)
    assert (other.status_code, other.json()["error"]["code"]) == (404, "not_found")


def b64(data: bytes) -> dict[str, Any]:
    return {"image": {"b64": base64.b64encode(data).decode()}}


def test_one_picture_in_all_formats(url: str, predictor: Predictor) -> None:
    for kind, media_type in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "application/x-image")):
        data = file_of(picture("red", 5), kind)
        [expected] = predictor.predict([data])
        assert expected["prediction"] == "red"
        for sent, content_type in (
            (data, media_type),
            (data, "application/octet-stream"),
            (b64(data), "application/json"),
        ):
            response = post(url, sent, content_type)
            assert response.status_code == 200, response.text
            assert response.headers["Content-Type"] == "application/json"
            assert_same([response.json()], [expected])
        answers = post(url, {"instances": [b64(data)] * 2}).json()["predictions"]
        assert_same(answers, [expected] * 2)


def test_several_files_in_one_request(url: str, book: list[Path], predictor: Predictor) -> None:
    expected = predictor.predict([path.read_bytes() for path in book])
    parts = [(path.name, (path.name, path.read_bytes(), "image/jpeg")) for path in book]
    response = requests.post(url, files=parts, timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    by_multipart = response.json()
    by_json = post(url, [{"name": path.name, **b64(path.read_bytes())} for path in book]).json()
    for answers in (by_multipart, by_json):
        assert [answer["name"] for answer in answers] == list(BOOK)
        assert_same(answers, expected)


def test_files_with_the_client_and_the_command_line(
    server: RunningServer, url: str, book: list[Path], predictor: Predictor, capsys: Any
) -> None:
    expected = predictor.predict([path.read_bytes() for path in book])
    with Client(server.url) as client:
        one = client.predict(NAME, book[0])
        several = client.predict(NAME, book)
        many = list(client.predict_many(NAME, [*book, book[0].read_bytes(), *book], batch_size=2))
    assert main(["predict", url, *map(str, book), "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for answers in (several, printed):
        assert [answer["name"] for answer in answers] == list(BOOK)
        assert_same(answers, expected)
    assert one["name"] == BOOK[0]
    assert_same([one], expected[:1])
    assert [answer.get("name") for answer in many] == [*BOOK, None, *BOOK]
    assert_same(many, [*expected, expected[0], *expected])


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A small PNG whose header has an enormous size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


GOOD = file_of(picture("green", 3))
BAD: dict[str, tuple[Any, str]] = {
    "zero bytes": (b"", "image/jpeg"),
    "text": (b"this is no picture", "image/png"),
    "truncated": (GOOD[: len(GOOD) // 2], "image/jpeg"),
    "bomb": (bomb(), "image/png"),
    "over the model's limit": (bomb(9000, 9000), "image/png"),
    "no base64": ({"image": {"b64": "%%%"}}, "application/json"),
    "no image": ({"picture": "x"}, "application/json"),
    "a number": ({"image": 7}, "application/json"),
    "broken JSON": (b'{"image": {"b64"', "application/json"),
    "text in base64": (b64(b"text"), "application/json"),
}


def test_300_pictures_in_8_threads_with_30_invalid_ones(server: RunningServer, url: str, predictor: Predictor) -> None:
    bodies = [
        file_of(picture(colour, seed), kind) for seed, colour in enumerate(COLOURS) for kind in ("JPEG", "PNG", "BMP")
    ]
    expected = predictor.predict(bodies)
    requests_ = [("good", i % len(bodies)) for i in range(270)] + [("bad", list(BAD)[i % len(BAD)]) for i in range(30)]
    random.Random(3).shuffle(requests_)
    workers = worker_pids(server)

    def send(item: tuple[str, Any]) -> requests.Response:
        kind, which = item
        if kind == "good":
            return post(url, bodies[which], "image/jpeg") if which % 2 else post(url, b64(bodies[which]))
        return post(url, *BAD[which])

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, requests_))
    right = 0
    for (kind, which), response in zip(requests_, responses, strict=True):
        if kind == "good":
            assert response.status_code == 200, response.text
            assert_same([response.json()], [expected[which]])
            right += 1
            continue
        assert response.status_code == 400, (which, response.text)
        error = response.json()["error"]
        assert error["message"], which
        assert error["fix"], which
        assert len(response.content) < 2000
    assert right == 270
    assert worker_pids(server) == workers


def test_memory_of_workers_does_not_grow(server: RunningServer, url: str) -> None:
    workers = [psutil.Process(pid) for pid in worker_pids(server)]
    bodies = [file_of(picture(colour, seed), "PNG") for seed, colour in enumerate(COLOURS)] + [GOOD[:300]]
    sessions = [requests.Session() for _ in range(8)]

    def ask(count: int) -> list[int]:
        def stream(session: requests.Session) -> list[int]:
            headers = {"Content-Type": "image/png"}
            return [
                session.post(url, data=bodies[i % len(bodies)], headers=headers, timeout=TIMEOUT).status_code
                for i in range(count // len(sessions))
            ]

        with ThreadPoolExecutor(len(sessions)) as pool:
            return [status for statuses in pool.map(stream, sessions) for status in statuses]

    ask(400)  # warm-up
    before = sum(worker.memory_info().rss for worker in workers)
    statuses = ask(2000)
    grown = sum(worker.memory_info().rss for worker in workers) - before
    for session in sessions:
        session.close()
    assert statuses.count(200) == 1504
    assert statuses.count(400) == 496
    assert grown < MAX_GROWTH, f"{grown / 2**20:.0f} MB after 2,000 requests"
    print(f"the worker grew by {grown / 2**20:.1f} MB over 2,000 requests")
