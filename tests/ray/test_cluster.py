"""A real Ray cluster: two nodes, four replicas, of which one is killed; an update, and a tampered archive."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from fastmar_client import Client
from fastmar_serving.ray.package import Options, package
from fastmar_serving.testing import running_server
from tests.archives import changed, golden, tiny_archive
from tests.engines.streams import PAUSE, Streams
from tests.ray.cluster import START_TIMEOUT, RayServer, serving

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; run .ci/ray"),
]

REPLICAS = 4
STREAMS = 8
KEY = "a-key-of-24-characters--"
TIMEOUT = 60
OPTIONS = Options(replicas=REPLICAS, cpus=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def old(folder: Path) -> Path:
    return tiny_archive(folder, "1.0")


@pytest.fixture(scope="module")
def server(folder: Path, old: Path) -> Iterator[RayServer]:
    package([old], folder / "served", OPTIONS)
    (folder / "key").write_text(KEY)
    with serving(folder / "served", nodes=2, environment={"FASTMAR_KEY_FILE": str(folder / "key")}) as running:
        running.wait_for("RUNNING", REPLICAS)
        yield running


@contextmanager
def scoring(server: RayServer, record: Any) -> Iterator[list[list[Any]]]:
    """Clients that keep sending a record; yields their answers."""
    stop = threading.Event()
    answers: list[list[Any]] = [[] for _ in range(STREAMS)]

    def send(received: list[Any]) -> None:
        with Client(server.url, token=KEY) as client:
            while not stop.is_set():
                try:
                    received.append(client.predict("tiny", record)["prediction"])
                except Exception as error:
                    received.append(error)
                stop.wait(PAUSE)

    threads = [threading.Thread(target=send, args=(each,)) for each in answers]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_answers_and_errors_are_those_of_the_asgi_engine(server: RayServer, old: Path, tmp_path: Path) -> None:
    records, _ = golden(old)
    headers = {"Authorization": f"Bearer {KEY}"}
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / old.name).write_bytes(old.read_bytes())
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", path, {"json": body, "headers": headers})
        for path in ("/invocations", "/predictions/tiny", "/predictions/tiny/1.0", "/v1/models/tiny:predict")
        for body in (records[0], {"instances": records}, {"unknown": 1}, [])
    ]
    asked += [("GET", path, {"headers": headers}) for path in ("/ping", "/readyz", "/v2", "/schema", "/nothing")]
    asked += [
        ("POST", "/invocations", {"json": records[0]}),  # without the key
        ("GET", "/invocations", {"headers": headers}),
        ("POST", "/predictions/other", {"json": records[0], "headers": headers}),
        ("POST", "/invocations", {"data": b"x" * 17_000_000, "headers": headers}),
    ]
    with running_server(tmp_path / "store", "--engine", "asgi", "--key-file", str(_key(tmp_path)), "--token") as asgi:
        for method, path, options in asked:
            expected = requests.request(method, asgi.url + path, timeout=TIMEOUT, **options)
            found = requests.request(method, server.url + path, timeout=TIMEOUT, **options)
            assert (found.status_code, found.content) == (expected.status_code, expected.content), path
            # Ray sends the request's id; twice would be joined to "id, id".
            assert len(found.headers["x-request-id"].split(", ")) == 1


def _key(folder: Path) -> Path:
    (folder / "key").write_text(KEY)
    return folder / "key"


def test_aws_forwards_invocations_to_the_root(server: RayServer, old: Path) -> None:
    records, answers = golden(old)
    sent: dict[str, Any] = {"json": records[0], "headers": {"Authorization": f"Bearer {KEY}"}, "timeout": TIMEOUT}
    assert requests.post(f"{server.url}/", **sent).json()["prediction"] == answers[0]["prediction"]
    assert requests.get(f"{server.url}/", timeout=TIMEOUT).status_code == 200  # liveness, as on other engines


def test_a_killed_replica_loses_nothing(server: RayServer, old: Path) -> None:
    """Ray answers requests in progress on the replica with 500 or 503; the client retries those."""
    records, answers = golden(old)
    replicas = server.wait_for("RUNNING", REPLICAS)["replicas"]
    assert len({replica["node"] for replica in replicas}) == 2
    killed = replicas[0]["pid"]
    with scoring(server, records[0]) as received:
        _wait_for_more(received)
        os.kill(killed, signal.SIGKILL)
        _wait_for_more(received)
        found = server.wait_for("RUNNING", REPLICAS)
        while killed in {replica["pid"] for replica in found["replicas"]}:
            found = server.wait_for("RUNNING", REPLICAS)
        _wait_for_more(received)
    assert {str(answer) for each in received for answer in each} == {str(answers[0]["prediction"])}


def test_an_update_fails_no_request(server: RayServer, folder: Path, old: Path) -> None:
    records, answers = golden(old)
    new = tiny_archive(folder, "2.0", flipped=True)
    changed_answer = golden(new)[1][0]["prediction"]
    with Streams(server.url, "/predictions/tiny", records[0], KEY).running() as streams:
        package([new], folder / "served", OPTIONS)
        server.command("deploy")
        server.wait_for("RUNNING", REPLICAS)
    assert streams.failures == []
    for each in streams.answers:
        assert each[0] == answers[0]["prediction"]
        assert each[-1] == changed_answer


def test_refused_archives_replace_no_replica(server: RayServer, folder: Path, old: Path) -> None:
    records, _ = golden(old)
    before = server.wait_for("RUNNING", REPLICAS)["replicas"]
    tampered = tiny_archive(folder, "3.0")
    changed(tampered, golden__answers=golden(tiny_archive(folder, "3.1", flipped=True))[1])
    other = tiny_archive(folder, "4.0")
    with Streams(server.url, "/predictions/tiny", records[0], KEY).running() as streams:
        package([tampered], folder / "served", OPTIONS)
        server.command("deploy")
        assert "GoldenMismatch" in server.wait_for("DEPLOY_FAILED")["message"]
        package([other], folder / "served", OPTIONS)
        (folder / "served" / "tiny-4.0.mar").write_bytes(old.read_bytes())  # another file than the packaged one
        server.command("deploy")
        assert "BundleUnreadable" in server.wait_for("DEPLOY_FAILED")["message"]
    assert streams.failures == []
    assert len({answer for each in streams.answers for answer in each}) == 1
    assert all(psutil.pid_exists(replica["pid"]) for replica in before)


def _wait_for_more(received: list[list[Any]]) -> None:
    before = [len(each) for each in received]
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and any(
        len(now) < count + 20 for now, count in zip(received, before, strict=True)
    ):
        time.sleep(0.05)
