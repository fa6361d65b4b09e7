"""`fastmar serve --engine asgi`: workers, limits, and changes of models under load."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from fastmar_cli.main import main
from fastmar_client import Client
from fastmar_contract.members import ANSWERS, RECORDS
from fastmar_runtime.bundle import BundleFiles
from fastmar_serving.testing import RunningServer, running_server
from tests.archives import changed, golden, tiny_archive
from tests.runtime import tiny
from tests.serving.streams import Streams

pytestmark = pytest.mark.asgi

LONG = bool(os.environ.get("FASTMAR_LONG_TESTS"))
OLD, NEW = ">=50k", "<50k"  # predictions of 1.0 and of the flipped 2.0 for the first golden record
ORIGIN = "https://a.example"
TIMEOUT = 30


def asgi(store: Path, *arguments: str) -> Any:
    return running_server(store, "--engine", "asgi", *arguments)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("asgi")
    tiny_archive(store, "1.0")
    return store


@pytest.fixture(scope="module")
def server(served: Path) -> Iterator[RunningServer]:
    with asgi(served, "--token", "--cors-origins", ORIGIN, "--request-timeout", "1") as running:
        yield running


@pytest.fixture(scope="module")
def key(server: RunningServer) -> str:
    assert server.key_file is not None
    return str(json.loads(server.key_file.read_text())["inference"]["key"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    tiny_archive(tmp_path / "store", "1.0")
    return tmp_path / "store"


def workers(server: RunningServer) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):  # it has just ended
            if "asgi_worker" in " ".join(child.cmdline()):
                found.append(child)
    return found


def post(server: RunningServer, key: str | None, body: Any, path: str = "/predictions/tiny", **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    sent |= {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(server.url + path, data=body, headers=sent, timeout=TIMEOUT)


def record() -> bytes:
    return json.dumps(tiny.record()).encode()


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


class TestRequests:
    def test_golden_records_alone_and_together(self, server: RunningServer, served: Path, key: str) -> None:
        files = BundleFiles(served / "tiny-1.0.mar")
        records, answers = files.json(RECORDS), files.json(ANSWERS)
        assert post(server, key, json.dumps(records)).json() == answers
        with ThreadPoolExecutor(32) as pool:
            numbers = [number % len(records) for number in range(320)]
            alone = pool.map(lambda number: post(server, key, json.dumps(records[number])).json(), numbers)
            assert list(alone) == [answers[number] for number in numbers]

    @pytest.mark.parametrize("given", [None, "wrong", "wrong-é"])
    def test_requests_without_a_valid_key_are_refused(self, server: RunningServer, given: str | None) -> None:
        reply = post(server, None, record(), **({"Authorization": f"Bearer {given}".encode()} if given else {}))
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="fastmar"'

    def test_health_needs_no_key(self, server: RunningServer) -> None:
        for path in ("/ping", "/", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/v1/models/tiny"):
            assert requests.get(server.url + path, timeout=TIMEOUT).status_code == 200, path
        assert requests.get(f"{server.url}/v1/models", timeout=TIMEOUT).status_code == 401

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/predictions/none", "model_not_found"),
            ("/v1/models/none:predict", "model_not_found"),
            ("/predictions/tiny/9.9", "version_not_found"),
            ("/v2/models/tiny/versions/9.9/infer", None),
            ("/x", "not_found"),
        ],
    )
    def test_unknown_paths_models_and_versions(
        self, server: RunningServer, key: str, path: str, code: str | None
    ) -> None:
        reply = post(server, key, record(), path)
        assert reply.status_code == 404
        error = reply.json()["error"]
        assert isinstance(error, str) if code is None else error["code"] == code

    def test_other_methods_are_refused(self, server: RunningServer, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        reply = requests.get(f"{server.url}/predictions/tiny", headers=headers, timeout=TIMEOUT)
        assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
        reply = requests.put(f"{server.url}/ping", headers=headers, timeout=TIMEOUT)
        assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD")

    def test_head_has_no_body(self, server: RunningServer) -> None:
        reply = requests.head(f"{server.url}/ping", timeout=TIMEOUT)
        assert (reply.status_code, reply.content) == (200, b"")

    def test_request_ids(self, server: RunningServer, key: str) -> None:
        assert post(server, key, record(), X_Request_ID="mine").headers["X-Request-ID"] == "mine"
        ids = {post(server, key, record(), X_Request_ID=given).headers["X-Request-ID"] for given in ("", "a b")}
        assert len(ids) == 2
        assert not ids & {"", "a b"}

    @pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
    def test_gzip(self, server: RunningServer, key: str, encoding: str) -> None:
        reply = post(server, key, gzip.compress(record()), Content_Encoding=encoding)
        assert reply.json()["prediction"] == OLD

    @pytest.mark.parametrize(
        ("body", "encoding", "status", "code"),
        [
            (b"no gzip", "gzip", 400, "content_encoding"),
            (gzip.compress(b"a" * 99, mtime=0)[:-12], "gzip", 400, "content_encoding"),
            (record(), "br", 415, "content_encoding"),
            (gzip.compress(bytes(17 << 20)), "gzip", 413, "too_large"),
            (bytes((16 << 20) + 1), "identity", 413, "too_large"),
        ],
        ids=["no gzip", "truncated", "br", "bomb", "large"],
    )
    def test_refused_bodies(
        self, server: RunningServer, key: str, body: bytes, encoding: str, status: int, code: str
    ) -> None:
        reply = post(server, key, body, Content_Encoding=encoding)
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)

    def test_chunked_body(self, server: RunningServer, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"{server.url}/predictions/tiny"
        chunks = (record()[at : at + 7] for at in range(0, len(record()), 7))
        assert requests.post(url, data=chunks, headers=headers, timeout=TIMEOUT).json()["prediction"] == OLD
        large = (bytes(1 << 20) for _ in range(20))
        try:
            reply = requests.post(url, data=large, headers=headers, timeout=TIMEOUT)
        except requests.ConnectionError:
            return  # the server closed the connection early
        assert reply.status_code == 413

    def test_slow_body(self, server: RunningServer, key: str) -> None:
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT) as slow:
            head = ["POST /predictions/tiny HTTP/1.1", "Host: a", f"Authorization: Bearer {key}", "Content-Length: 99"]
            slow.sendall("\r\n".join([*head, "", "{"]).encode())
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")

    def test_cors(self, server: RunningServer, key: str) -> None:
        preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        reply = requests.options(f"{server.url}/predictions/tiny", headers=preflight, timeout=TIMEOUT)
        assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert post(server, key, record(), Origin=ORIGIN).headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Access-Control-Allow-Origin" not in post(server, key, record(), Origin="https://b.example").headers

    def test_metrics(self, server: RunningServer, key: str) -> None:
        def counts() -> list[float]:
            text = requests.get(server.metrics, timeout=TIMEOUT).text
            samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
            wanted = [
                ("fastmar_requests_total", {"status": "200"}),
                ("fastmar_requests_total", {"status": "400"}),
                ("fastmar_refused_total", {"code": "bad_request"}),
            ]
            return [
                sum(s.value for s in samples if s.name == name and s.labels.items() >= labels.items())
                for name, labels in wanted
            ]

        time.sleep(1.5)  # earlier requests have been reported
        answered, refused, codes = counts()
        for _ in range(20):
            post(server, key, record())
        assert post(server, key, b"{").json()["error"]["code"] == "bad_request"
        wait_for(lambda: counts() == [answered + 20, refused + 1, codes + 1], 5)


def test_uvicorn(store: Path) -> None:
    with asgi(store, "--server", "uvicorn") as server:
        records, answers = golden(store / "tiny-1.0.mar")
        assert post(server, None, json.dumps(records)).json() == answers
        assert requests.head(f"{server.url}/ping", timeout=TIMEOUT).content == b""
        assert server.stop() == 0


class TestWorkers:
    def test_killed_workers_are_replaced_and_no_answer_is_lost(self, store: Path) -> None:
        records, answers = golden(store / "tiny-1.0.mar")
        seconds = 60.0 if LONG else 6.0
        stop = threading.Event()
        sent = [0] * 8

        def endless(stream: int) -> Iterator[Any]:
            while not stop.is_set():
                for each in records:
                    sent[stream] += 1
                    yield each

        def check(stream: int) -> int:
            count = 0
            with Client(server.url, timeout=(3, 20)) as client:
                for count, answer in enumerate(client.predict_many("tiny", endless(stream), batch_size=16), 1):
                    assert answer == answers[(count - 1) % len(answers)]
            return count

        with asgi(store, "--workers", "2") as server, ThreadPoolExecutor(8) as pool:
            streams = [pool.submit(check, stream) for stream in range(8)]
            killed = set()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not any(stream.done() for stream in streams):
                time.sleep(2)
                oldest = min(workers(server), key=psutil.Process.create_time)
                killed.add(oldest.pid)
                oldest.kill()
            stop.set()
            counts = [stream.result(timeout=120) for stream in streams]
        print(json.dumps({"killed": len(killed), "answered": counts}))
        assert len(killed) >= 3
        assert counts == sent

    def test_hanging_worker_is_replaced(self, store: Path) -> None:
        with asgi(store, "--workers", "1", "--hang-timeout", "2") as server:
            [before] = workers(server)
            before.suspend()
            wait_for(lambda: not before.is_running() or before.status() == psutil.STATUS_ZOMBIE)
            assert post(server, None, record()).json()["prediction"] == OLD
            assert [process.pid for process in workers(server)] != [before.pid]

    def test_workers_end_when_the_launcher_is_killed(self, store: Path) -> None:
        with asgi(store) as server:
            processes = workers(server)
            server.process.kill()
            _, alive = psutil.wait_procs(processes, 10)
            assert alive == []


class Requester(threading.Thread):
    """Sends requests without pause until the port refuses connections."""

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port)
        self.answered = 0
        self.lost: list[Any] = []

    def run(self) -> None:
        while not self.lost:
            connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return
            try:
                self._request(connection)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
            finally:
                connection.close()

    def _request(self, connection: http.client.HTTPConnection) -> None:
        closes = False
        while not closes:
            connection.request("POST", "/predictions/tiny", record())
            reply = connection.getresponse()
            if reply.status != 200 or not reply.read():
                self.lost.append(reply.status)
            self.answered += 1
            closes = reply.will_close


class TestPlatforms:
    def test_paths_of_a_platform(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        route = "/v1/endpoints/1/deployedModels/2"
        for name, value in (("HTTP_PORT", "1"), ("HEALTH_ROUTE", route), ("PREDICT_ROUTE", f"{route}:predict")):
            monkeypatch.setenv(f"AIP_{name}", value)
        with asgi(store, "--platform", "vertex", "--host", "127.0.0.1", "--workers", "1") as server:
            assert requests.get(server.url + route, timeout=TIMEOUT).status_code == 200
            body = json.dumps({"instances": [tiny.record()]})
            [prediction] = post(server, None, body, f"{route}:predict").json()["predictions"]
            assert prediction["prediction"] == OLD


class TestStopping:
    def test_signal_while_models_load(self, store: Path) -> None:
        words = [sys.executable, "-m", "fastmar_cli.main", "serve", "--engine", "asgi", "--port", "0", "--workers", "4"]
        process = subprocess.Popen(
            [*words, "--metrics-port", "0", "--model-store", store],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            while "starting" not in process.stderr.readline():
                assert process.poll() is None
            wait_for(lambda: psutil.Process(process.pid).children())
            process.terminate()
            printed, _ = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        assert (process.returncode, printed) == (0, "")

    def test_all_accepted_requests_are_answered(self, store: Path) -> None:
        for _ in range(20 if LONG else 3):
            with asgi(store) as server:
                requesters = [Requester(server.url) for _ in range(32)]
                for requester in requesters:
                    requester.start()
                ends = time.monotonic() + TIMEOUT
                while min(requester.answered for requester in requesters) < 4 and time.monotonic() < ends:
                    time.sleep(0.01)
                assert server.stop() == 0
                for requester in requesters:
                    requester.join(TIMEOUT)
                assert [requester.lost for requester in requesters] == [[]] * 32
                assert min(requester.answered for requester in requesters) >= 4

    def test_sigint_ends_the_server_with_status_0(self, store: Path) -> None:
        with asgi(store) as server:
            assert server.stop(signal.SIGINT) == 0


class TestModels:
    def deploy(self, server: RunningServer, *words: object) -> int:
        return main([*map(str, words), "--url", server.url])

    def test_each_stream_sees_one_switch_and_one_rollback(self, store: Path, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        with asgi(store) as server:
            streams = Streams(server.url, "/predictions/tiny", tiny.record())
            with streams.running():
                assert self.deploy(server, "deploy", second) == 0
                streams.wait_for_more()
                assert streams.changes() == [[OLD, NEW]] * 8
                assert self.deploy(server, "rollback", "tiny") == 0
            assert streams.failures == []
            assert streams.changes() == [[OLD, NEW, OLD]] * 8

    def test_worker_that_starts_during_a_deployment_serves_the_new_version(self, store: Path, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        with asgi(store, "--workers", "3") as server:
            first = workers(server)
            for process in first[:2]:
                process.kill()
            wait_for(lambda: len(workers(server)) == 3 and workers(server) != first)
            assert self.deploy(server, "deploy", second) == 0
            wait_for(lambda: "is ready" in server.stderr.read_text())
            predictions = {post(server, None, record()).json()["prediction"] for _ in range(40)}
            assert predictions == {NEW}

    def test_tampered_archive_is_refused(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        _, answers = golden(second)
        answers[0] |= {"prediction": OLD, "index": 1}
        answers[0]["probabilities"] = dict(zip(answers[0]["probabilities"], (0.1, 0.9), strict=True))
        changed(second, golden__answers=answers)
        with asgi(store) as server:
            streams = Streams(server.url, "/predictions/tiny", tiny.record())
            with streams.running():
                assert self.deploy(server, "deploy", second) == 1
            assert streams.failures == []
            assert streams.changes() == [[OLD]] * 8
            assert post(server, None, record(), "/predictions/tiny/2.0").status_code == 404
        assert "VersionFailed" in capsys.readouterr().err
        assert sorted(path.name for path in store.glob("*.mar")) == ["tiny-1.0.mar"]

    def test_default_version_is_kept_after_a_restart(self, store: Path, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        with asgi(store) as server:
            assert self.deploy(server, "deploy", second) == 0
            assert self.deploy(server, "rollback", "tiny") == 0
        with asgi(store) as server:
            assert post(server, None, record()).json()["prediction"] == OLD
            assert post(server, None, record(), "/predictions/tiny/2.0").json()["prediction"] == NEW

    def test_archive_that_does_not_reproduce_its_golden_records_does_not_start(self, store: Path) -> None:
        _, answers = golden(store / "tiny-1.0.mar")
        answers[0]["probabilities"] = dict.fromkeys(answers[0]["probabilities"], 0.5)
        changed(store / "tiny-1.0.mar", golden__answers=answers)
        words = [sys.executable, "-m", "fastmar_cli.main", "serve", "--engine", "asgi", "--port", "0"]
        done = subprocess.run(
            [*words, "--metrics-port", "0", "--model-store", store], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "LoadFailed" in done.stderr
