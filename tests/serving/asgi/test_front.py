"""What the asgi engine does around requests, on both servers: TLS, IPv6, logs, traces, and limits of connections."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fastmar_cli.main import main
from fastmar_client import AsyncClient, Client, ServerUnreachable
from fastmar_serving import registry
from fastmar_serving.asgi.launcher import serve as serve_asgi
from fastmar_serving.asgi.tls import check_certificate
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import Settings
from fastmar_serving.testing import RunningServer, running_server
from fastmar_serving.torchserve.config import render
from tests.archives import tiny_archive
from tests.coroutines import run
from tests.runtime import tiny

asgi = pytest.mark.asgi
SERVERS = ("granian", "uvicorn")
HEAD_TIMEOUT = 2.0
NO_DRAIN = ("--request-timeout", "600", "--drain-timeout", "600")  # a stop that waited for them would fail
TIMEOUT = 60
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORD = json.dumps(tiny.record()).encode()


def start(store: Path, server: str, *arguments: str) -> Any:
    return running_server(store, "--engine", "asgi", "--server", server, "--workers", "1", *arguments)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front")
    tiny_archive(folder, "1.0")
    return folder


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, store: Path) -> Iterator[RunningServer]:
    with start(store, request.param, "--request-timeout", str(HEAD_TIMEOUT)) as running:
        yield running


def post(url: str, body: Any = RECORD, **headers: str) -> requests.Response:
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{url}/predictions/tiny", data=body, headers=sent, timeout=TIMEOUT)


def head(length: int, *more: str) -> bytes:
    """The head of a request with a body of `length` bytes."""
    lines = ["POST /predictions/tiny HTTP/1.1", "Host: a", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    content = b""
    try:
        while part := connection.recv(65536):
            content += part
    except ConnectionResetError:
        pass
    return content


def closes(connection: socket.socket) -> bool:
    try:
        read_all(connection)
    except TimeoutError:
        return False
    return True


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private CA, and a certificate of it for this machine."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost", "::1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(folder / "cert.pem"), append=number > 0)
    return folder


@asgi
@pytest.mark.parametrize("name", SERVERS)
class TestTls:
    async def ask(self, url: str) -> Any:
        async with AsyncClient(url) as client:
            return await client.predict("tiny", tiny.record())

    def test_commands_and_clients(
        self, name: str, store: Path, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "store").mkdir()
        tiny_archive(tmp_path / "store", "1.0")
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        files = ("--tls-cert", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
        with start(tmp_path / "store", name, *files) as server:
            assert server.url.startswith("https://127.0.0.1:")
            entry = registry.find(server.url)
            assert entry is not None
            assert entry.inference == server.url
            with pytest.raises(ServerUnreachable):
                Client(server.url, timeout=(3, 3)).predict("tiny", tiny.record())
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "ca.pem"))
            before = Client(server.url).predict("tiny", tiny.record())
            assert before == run(self.ask(server.url))
            for words in (("deploy", str(second)), ("models",), ("rollback", "tiny")):
                assert main([*words, "--url", server.url]) == 0
                prediction = Client(server.url).predict("tiny", tiny.record())["prediction"]
                assert (prediction == before["prediction"]) is (words[0] == "rollback")
            with pytest.raises(requests.ConnectionError):
                requests.get(server.url.replace("https", "http") + "/ping", timeout=TIMEOUT)

    def test_tls_1_2_is_the_oldest(self, name: str, store: Path, certificate: Path) -> None:
        files = ("--tls-cert", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
        with start(store, name, *files) as server:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = ssl.create_default_context(cafile=str(certificate / "ca.pem"))
                context.minimum_version = context.maximum_version = version
                with context.wrap_socket(connect(server.url), server_hostname="localhost") as connection:
                    connection.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    assert read_all(connection).startswith(b"HTTP/1.1 200 ")

    def test_an_unfinished_handshake_does_not_delay_the_end(self, name: str, store: Path, certificate: Path) -> None:
        files = ("--tls-cert", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
        with start(store, name, *files, *NO_DRAIN) as server, closing(connect(server.url)):
            time.sleep(0.2)
            assert server.stop() == 0


class TestCertificates:
    def refusal(self, check: Callable[[], object]) -> str:
        with pytest.raises(ConfigRefused) as caught:
            check()
        return caught.value.code

    def test_invalid_files(self, certificate: Path, tmp_path: Path) -> None:
        cert, key = certificate / "cert.pem", certificate / "key.pem"
        other = tmp_path / "other.pem"
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))
        (tmp_path / "empty.pem").touch()
        encrypted = tmp_path / "encrypted.pem"
        os.system(f"openssl pkey -in {key} -aes256 -passout pass:secret -out {encrypted}")
        for cert_file, key_file, code in (
            (cert, None, "tls_incomplete"),
            (None, key, "tls_incomplete"),
            (tmp_path / "none.pem", key, "tls_unreadable"),
            (cert, tmp_path, "tls_unreadable"),
            (cert, other, "tls_invalid"),
            (tmp_path / "empty.pem", key, "tls_invalid"),
            (key, cert, "tls_invalid"),
            (cert, encrypted, "tls_invalid"),
        ):
            settings = Settings(tls_cert=cert_file, tls_key=key_file)
            assert self.refusal(lambda s=settings: check_certificate(s)) == code, (cert_file, key_file)  # type: ignore[misc]
            assert self.refusal(lambda s=settings: serve_asgi(s)) == code  # type: ignore[misc]
        check_certificate(Settings(tls_cert=cert, tls_key=key))

    def test_torchserve_has_no_tls(self, tmp_path: Path) -> None:
        settings = Settings(tls_cert=tmp_path, tls_key=tmp_path)
        assert self.refusal(lambda: render(settings, RunDirectory(tmp_path), [])) == "option_not_supported"


# IPv6


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@asgi
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6(name: str, host: str, store: Path) -> None:
    with start(store, name, "--host", host, "--metrics-host", "::1", "--no-token") as server:
        assert server.url.startswith(f"http://[{host}]:")
        port = urlsplit(server.url).port
        assert post(f"http://[::1]:{port}").status_code == 200
        assert requests.get(server.metrics, timeout=TIMEOUT).status_code == 200
        assert main(["models", "--url", f"http://[::1]:{port}"]) == 0


# Request ids and traces


@asgi
class TestIds:
    def test_a_request_without_an_id_gets_that_of_its_trace(self, server: RunningServer) -> None:
        sent = f"00-{TRACE}-{PARENT}-01"
        assert post(server.url, traceparent=sent).headers["X-Request-ID"] == TRACE
        assert post(server.url, traceparent=sent, X_Request_ID="mine").headers["X-Request-ID"] == "mine"
        later = f"cc-{TRACE}-{PARENT}-01-of-a-later-version"
        assert post(server.url, traceparent=later).headers["X-Request-ID"] == TRACE

    @pytest.mark.parametrize(
        "sent",
        [
            "",
            f"ff-{TRACE}-{PARENT}-01",
            f"00-{TRACE}-{PARENT}-01-more",
            f"00-{'0' * 32}-{PARENT}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE.upper()}-{PARENT}-01",
            f"00-{TRACE}-{PARENT}",
        ],
    )
    def test_an_invalid_trace_is_ignored(self, server: RunningServer, sent: str) -> None:
        answer = post(server.url, traceparent=sent)
        assert answer.status_code == 200
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
        assert answer.headers["X-Request-ID"].lower() != TRACE


class Collector:
    """An OTLP receiver.

    Attributes:
        spans: the received spans, with the resource of each.
    """

    def __init__(self) -> None:
        self.spans: list[tuple[dict[str, Any], Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.add(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            resource = attributes(of_resource.resource)
            self.spans += [(resource, span) for scope in of_resource.scope_spans for span in scope.spans]

    @contextmanager
    def running(self) -> Iterator[Collector]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@asgi
@pytest.mark.parametrize("name", SERVERS)
def test_spans(name: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector().running() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with start(store, name) as server:
            answer = post(server.url, json.dumps([tiny.record()] * 3), traceparent=f"00-{TRACE}-{PARENT}-01")
            assert answer.headers["X-Request-ID"] == TRACE
            own = post(server.url, X_Request_ID="mine").headers["X-Request-ID"]
            generated = post(server.url).headers["X-Request-ID"]
            assert requests.request("PROPFIND", f"{server.url}/nowhere", timeout=TIMEOUT).status_code == 404
            assert server.stop() == 0  # exports the remaining spans
    assert own == "mine"
    assert {resource["service.name"] for resource, _ in collector.spans} == {"fastmar"}
    first, second, third, last = [span for _, span in collector.spans]
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert first.name == "POST /predictions/tiny"
    assert first.kind == 2  # server
    assert attributes(first) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": "/predictions/tiny",
        "http.route": "/predictions/tiny",
        "http.response.status_code": 200,
        "fastmar.model.name": "tiny",
        "fastmar.model.version": "1.0",
        "fastmar.records": 3,
        "fastmar.batch.records": 3,
    }
    assert second.parent_span_id == b""
    assert third.trace_id.hex() == generated
    assert last.name == "HTTP"
    assert attributes(last)["http.request.method"] == "_OTHER"
    assert attributes(last)["http.response.status_code"] == 404


@asgi
def test_nothing_of_opentelemetry_is_imported_without_an_endpoint(store: Path) -> None:
    with start(store, "granian") as server:
        [worker] = psutil.Process(server.process.pid).children()
        assert not [each.path for each in worker.memory_maps() if "opentelemetry" in each.path]


# Logs


@asgi
@pytest.mark.parametrize("name", SERVERS)
def test_log_lines_are_json_objects(name: str, store: Path) -> None:
    with start(store, name, "--log-format", "json") as server:
        post(server.url)
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.stderr.read_text().splitlines()]
    assert len(lines) >= 3
    for line in lines:
        assert {"time", "level", "logger", "message"} == set(line)
        assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert {line["level"] for line in lines} == {"INFO"}


# Limits


@asgi
class TestSlowSenders:
    def test_connection_without_a_request(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            assert closes(connection)

    def test_head_that_does_not_arrive(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            connection.sendall(b"POST /predictions/tiny HTTP/1.1\r\nHost: a\r\n")
            assert closes(connection)

    def test_head_that_arrives_byte_by_byte(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            connection.sendall(b"POST /predictions/tiny HTTP/1.1\r\nHost: a\r\nX-A: ")
            ends = time.monotonic() + TIMEOUT
            is_open = True
            while is_open and time.monotonic() < ends:
                try:
                    connection.sendall(b"a")
                except OSError:
                    is_open = False
                time.sleep(0.1)
            assert not is_open

    def test_second_head_that_does_not_arrive(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost")
            assert closes(connection)

    def test_body_that_does_not_arrive(self, server: RunningServer) -> None:
        for length in (99, 1_000_000):
            with connect(server.url) as connection:
                connection.sendall(head(length) + b"{")
                assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")

    def test_large_body_has_more_time(self, server: RunningServer) -> None:
        body = RECORD + b" " * 400_000
        with connect(server.url) as connection:
            connection.sendall(head(len(body)))
            began = time.monotonic()
            for at in range(0, len(body), 80_000):
                connection.sendall(body[at : at + 80_000])
                time.sleep(0.6)
            assert time.monotonic() - began > HEAD_TIMEOUT
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


@asgi
class TestLargeSenders:
    def test_length_over_the_limit_is_refused_at_once(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            connection.sendall(head(17 << 20, "Expect: 100-continue"))
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")

    def test_endless_chunks(self, server: RunningServer) -> None:
        with connect(server.url) as connection:
            connection.sendall(b"POST /predictions/tiny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = 0
            chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
            try:
                while sent < 200 << 20:
                    connection.sendall(chunk)
                    sent += len(chunk)
                    connection.setblocking(False)
                    try:
                        if connection.recv(4096, socket.MSG_PEEK):
                            break
                    except BlockingIOError:
                        pass
                    connection.settimeout(TIMEOUT)
            except OSError:
                pass
            assert sent < 40 << 20

    def test_bombs(self, server: RunningServer) -> None:
        bomb = zlib.compressobj()
        packed = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(200)), bomb.flush()])
        assert post(server.url, packed, Content_Encoding="deflate").status_code == 413

    @pytest.mark.parametrize("lines", [1, 4000])
    def test_large_head(self, server: RunningServer, lines: int) -> None:
        with connect(server.url) as connection:
            line = b"X-A: " + b"a" * (1_000_000 // lines) + b"\r\n"
            try:
                connection.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n" + line * lines)
                answer = connection.recv(4096)
            except ConnectionError:
                answer = b""
            assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
        assert requests.get(f"{server.url}/ping", timeout=TIMEOUT).status_code == 200

    def test_usual_heads(self, server: RunningServer) -> None:
        headers = {f"X-{number}": "a" * 200 for number in range(80)}
        with requests.Session() as session:
            for _ in range(3):
                assert session.get(f"{server.url}/ping", headers=headers, timeout=TIMEOUT).status_code == 200

    def test_many_requests_in_one_packet(self, server: RunningServer) -> None:
        one = head(len(RECORD)) + RECORD
        last = head(len(RECORD), "Connection: close") + RECORD
        with connect(server.url) as connection:
            connection.sendall(one * 300 + last)
            assert read_all(connection).count(b"HTTP/1.1 200 ") == 301


@asgi
@pytest.mark.parametrize("name", SERVERS)
def test_idle_connections_do_not_delay_the_end(name: str, store: Path) -> None:
    with start(store, name, *NO_DRAIN) as server, connect(server.url) as used, connect(server.url):
        used.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
        assert used.recv(4096).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.3)
        assert server.stop() == 0


@asgi
@pytest.mark.parametrize("name", SERVERS)
def test_unfinished_head_delays_the_end_by_its_time_limit_at_most(name: str, store: Path) -> None:
    limits = (*NO_DRAIN, "--request-timeout", str(HEAD_TIMEOUT))
    with start(store, name, *limits) as server, connect(server.url) as begun:
        begun.sendall(b"GET /ping HTTP/1.1\r\nHo")
        time.sleep(0.3)
        assert server.stop() == 0
