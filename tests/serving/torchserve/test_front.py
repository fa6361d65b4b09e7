"""The front with a real TorchServe and raw sockets: routes, errors, bodies, connections and keys."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from fastmar_serving import registry
from fastmar_serving.testing import RunningServer, running_server

pytestmark = pytest.mark.torchserve

JSON = "application/json"
LIMIT = 65536
# Returns the type and text of the body, and the headers.
MIRROR = """
import json

class Mirror:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        answers = []
        for index, row in enumerate(data):
            headers = {key.lower(): value for key, value in context.get_all_request_header(index).items()}
            body = row.get("body")
            context.set_response_content_type(index, "application/json")
            text = bytes(body).decode("latin-1") if isinstance(body, (bytes, bytearray)) else body
            answers.append(json.dumps({"kind": type(body).__name__, "body": text, "headers": headers}).encode())
        return answers
"""


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@pytest.fixture(scope="module")
def front(archive: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("front")
    archive(store, "raw", MIRROR, raw_bodies=True)
    archive(store, "plain", MIRROR)
    (store / "small.properties").write_text(f"max_request_size={LIMIT}\n")
    arguments = [
        "--config",
        str(store / "small.properties"),
        "--request-timeout",
        "2",
        "--cors-origins",
        "https://a.example",
    ]
    with running_server(store, *arguments) as server:
        yield server


def ask(server: RunningServer, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=30)
    with closing(connection):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names, encode_chunked=not isinstance(body, bytes | str | None))
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=30)


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(1 << 16):
        received += piece
    return received


class TestMethods:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "FOO", "OPTIONS", "HEAD"])
    @pytest.mark.parametrize(
        "path", ["/predictions/raw", "/v1/models/raw:predict", "/v2/models/raw/infer", "/invocations?model_name=raw"]
    )
    def test_models_allow_only_post(self, front: RunningServer, method: str, path: str) -> None:
        reply = ask(front, method, path)
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/ping", "/v1/models", "/v2", "/api-description"])
    def test_documents_allow_get_and_head(self, front: RunningServer, path: str) -> None:
        assert ask(front, "GET", path).status == 200
        assert ask(front, "HEAD", path).body == b""
        reply = ask(front, "POST", path, b"{}")
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")

    @pytest.mark.parametrize(
        "path",
        ["/", "/explanations/raw", "/wfpredict/x", "/workflows", "/models", "/raw/predict", "/predictions/", "//"],
    )
    def test_other_paths_have_status_404(self, front: RunningServer, path: str) -> None:
        assert ask(front, "POST", path, b"{}").status == (405 if path == "/" else 404)

    def test_liveness_check_of_kserves_v1_client(self, front: RunningServer) -> None:
        assert ask(front, "GET", "/").json == {"status": "alive"}


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "code"),
        [("/predictions/none", "model_not_found"), ("/predictions/raw/9.9", "version_not_found"), ("/x", "not_found")],
    )
    def test_translates_errors_of_torchserve(self, front: RunningServer, path: str, code: str) -> None:
        reply = ask(front, "POST", path, b"{}", Content_Type=JSON)
        assert (reply.status, reply.code, reply.headers["Content-Type"]) == (404, code, JSON)
        assert set(reply.json["error"]) == {"code", "message", "fix"}

    def test_case_v2_error_not_a_string(self, front: RunningServer) -> None:
        for path in ("/v2/models/none/infer", "/v2/models/raw/versions/9/infer", "/v2/nothing"):
            reply = ask(front, "POST", path, b"{}", Content_Type=JSON)
            assert reply.status == 404
            assert isinstance(reply.json["error"], str)

    def test_invocations_without_model_name(self, front: RunningServer) -> None:
        assert ask(front, "POST", "/invocations", b"{}").code == "model_name_required"

    def test_malformed_http(self, front: RunningServer) -> None:
        with connect(front) as connection:
            connection.sendall(b"GET /ping HTTP/1.1\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n")
            assert until_closed(connection).startswith(b"HTTP/1.1 431 ")


class TestBodies:
    @pytest.mark.parametrize("path", ["/predictions/raw", "/predictions/raw/1.0", "/invocations?model_name=raw"])
    @pytest.mark.parametrize("media_type", [JSON, "text/csv; charset=latin-1", "multipart/form-data; boundary=x", None])
    def test_case_multipart_same_name(self, front: RunningServer, path: str, media_type: str | None) -> None:
        """A handler that parses bodies itself gets all bytes of a form."""
        body = b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n\xff1\r\n' * 2 + b"--x--\r\n"
        headers = {"Content_Type": media_type} if media_type else {}
        got = ask(front, "POST", path, body, **headers, Fastmar_Content_Type="forged", FASTMAR_Protocol="v2").json
        assert (got["kind"], got["body"].encode("latin-1")) == ("bytearray", body)
        assert got["headers"]["content-type"] == "application/octet-stream"
        assert got["headers"]["fastmar-content-type"] == (media_type or "")
        assert "fastmar-protocol" not in got["headers"]

    @pytest.mark.parametrize("path", ["/v2/models/raw/infer", "/v2/models/raw/versions/1.0/infer"])
    def test_case_tritonclient_binary(self, front: RunningServer, path: str) -> None:
        got = ask(front, "POST", path, b"{}\x00\x01", Inference_Header_Content_Length="2").json
        assert got["body"] == "{}\x00\x01"
        assert got["headers"]["fastmar-protocol"] == "v2"
        assert got["headers"]["inference-header-content-length"] == "2"

    def test_torchserve_parses_bodies_of_other_models(self, front: RunningServer) -> None:
        got = ask(front, "POST", "/predictions/plain", b'{"a": 1}', Content_Type=JSON, Fastmar_Protocol="v2").json
        assert (got["kind"], got["body"]) == ("dict", {"a": 1})
        assert not [name for name in got["headers"] if name.startswith("fastmar-")]

    @pytest.mark.parametrize("document", ["schema", "openapi.json", "openapi-3.0.json", "openapi", "docs"])
    def test_documents_without_a_version(self, front: RunningServer, document: str) -> None:
        got = ask(front, "GET", f"/predictions/raw/{document}").json
        assert got["headers"]["content-type"] == f"application/{document}-request+json"
        assert ask(front, "GET", f"/predictions/raw/1.0/{document}").json["headers"]["url_path"] == document
        assert ask(front, "PUT", f"/predictions/raw/{document}").status == 405

    @pytest.mark.parametrize("name", ["raw", "plain"])
    def test_case_gzip_body(self, front: RunningServer, name: str) -> None:
        body = b'{"a": 1}'
        raw_deflate = zlib.compressobj(wbits=-15)
        for encoding, data in {
            "gzip": gzip.compress(body),
            "x-gzip": gzip.compress(body),
            "Deflate": zlib.compress(body),
            "deflate": raw_deflate.compress(body) + raw_deflate.flush(),
            "identity": body,
        }.items():
            got = ask(front, "POST", f"/predictions/{name}", data, Content_Type=JSON, Content_Encoding=encoding).json
            assert got["body"] in ({"a": 1}, '{"a": 1}')

    @pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
    def test_refuses_other_encodings(self, front: RunningServer, encoding: str) -> None:
        reply = ask(front, "POST", "/predictions/raw", b"x", Content_Encoding=encoding)
        assert (reply.status, reply.code, reply.headers["Accept-Encoding"]) == (
            415,
            "content_encoding",
            "gzip, deflate",
        )
        assert "Content-Encoding" in reply.json["error"]["message"]

    @pytest.mark.parametrize(
        "data", [b"no gzip", gzip.compress(b"a" * 99, mtime=0)[:-12]], ids=["no gzip", "truncated"]
    )
    def test_damaged_gzip(self, front: RunningServer, data: bytes) -> None:
        reply = ask(front, "POST", "/predictions/raw", data, Content_Encoding="gzip")
        assert (reply.status, reply.code) == (400, "content_encoding")

    def test_limits_decompressed_bodies(self, front: RunningServer) -> None:
        reply = ask(front, "POST", "/predictions/raw", gzip.compress(bytes(9_000_000)), Content_Encoding="gzip")
        assert (reply.status, reply.code) == (413, "too_large")

    def test_case_too_large_413(self, front: RunningServer) -> None:
        body = bytes(LIMIT + 1)
        for sent, headers in ((body, {}), (iter([body, body]), {}), (body * 20, {})):
            reply = ask(front, "POST", "/predictions/raw", sent, **headers)
            assert (reply.status, reply.code) == (413, "too_large")
            assert str(LIMIT) in reply.json["error"]["message"]
        assert ask(front, "POST", "/predictions/raw", bytes(LIMIT)).status == 200

    def test_expect_100_continue(self, front: RunningServer) -> None:
        head = b"POST /predictions/raw HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        with connect(front) as connection:
            connection.sendall(head % (LIMIT + 1))
            assert b"too_large" in until_closed(connection)
        with connect(front) as connection:
            connection.sendall(head % 2)
            assert connection.recv(999).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"{}")
            assert connection.recv(9999).startswith(b"HTTP/1.1 200 ")


class TestConnections:
    def test_request_ids_and_trace_contexts(self, front: RunningServer) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        reply = ask(front, "POST", "/predictions/raw", b"{}", X_Request_ID="mine-1", Traceparent=trace)
        assert reply.headers["x-request-id"] == reply.json["headers"]["x-request-id"] == "mine-1"
        assert reply.json["headers"]["traceparent"] == trace
        for headers in ({}, {"X_Request_ID": "x" * 999}, {"X_Request_ID": "a b"}):
            reply = ask(front, "POST", "/predictions/raw", b"{}", **headers)
            new = reply.headers["x-request-id"]
            assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", new)
            assert reply.json["headers"]["x-request-id"] == new
        for path in ("/ping", "/nothing", "/predictions/none"):
            assert ask(front, "POST", path, b"{}", X_Request_ID="mine-2").headers["x-request-id"] == "mine-2"

    def test_pipelined_requests_are_answered_in_order(self, front: RunningServer) -> None:
        def post(text: str) -> bytes:
            return f"POST /predictions/raw HTTP/1.1\r\nHost: a\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

        requests = [post(f"<{number}>") for number in range(30)]
        requests[7] = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
        last = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        with connect(front) as connection:
            connection.sendall(b"".join([*requests, last]))
            text = until_closed(connection)
        assert text.count(b"HTTP/1.1 200 ") == 31
        assert [int(number) for number in re.findall(rb"<(\d+)>", text)] == [n for n in range(30) if n != 7]

    def test_connection_can_be_reused_after_a_refused_body(self, front: RunningServer) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(front.url).port or 0, timeout=30)
        with closing(connection):
            connection.request("PUT", "/predictions/raw", bytes(LIMIT))
            assert connection.getresponse().read()
            sock = connection.sock
            connection.request("POST", "/predictions/raw", b"{}")
            assert connection.getresponse().read()
            assert connection.sock is sock

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_closes_the_connection_on_request(self, front: RunningServer, version: str) -> None:
        with connect(front) as connection:
            close = "Connection: close\r\n" if version == "1.1" else ""
            head = f"POST /predictions/raw HTTP/{version}\r\nHost: a\r\n{close}Content-Length: 2\r\n\r\n{{}}"
            connection.sendall(head.encode())
            assert b" 200 " in until_closed(connection).splitlines()[0]

    @pytest.mark.parametrize(
        "sent",
        [
            b"POST /pred",
            b"POST /predictions/raw HTTP/1.1\r\nHost: a\r\n",
            b"POST /predictions/raw HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
        ],
    )
    def test_incomplete_requests_time_out(self, front: RunningServer, sent: bytes) -> None:
        with connect(front) as connection:
            began = time.monotonic()
            connection.sendall(sent)
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")
            assert 1.5 < time.monotonic() - began < 10

    def test_slow_requests_time_out(self, front: RunningServer) -> None:
        with connect(front) as connection:
            connection.sendall(b"POST /predictions/raw HTTP/1.1\r\nHost: a\r\n")
            connection.settimeout(0.2)
            received, deadline = b"", time.monotonic() + 12
            while not received and time.monotonic() < deadline:
                connection.sendall(b"X: y\r\n")
                with suppress(TimeoutError):
                    received = connection.recv(99)
            assert received.startswith(b"HTTP/1.1 408 ")

    def test_1000_incomplete_requests_time_out(self, front: RunningServer) -> None:
        held = [connect(front) for _ in range(1000)]
        try:
            for connection in held:
                connection.sendall(b"POST /predictions/raw HTTP/1.1\r\n")
            assert ask(front, "POST", "/predictions/raw", b"{}").status == 200
            deadline = time.monotonic() + 20
            for connection in held:
                connection.settimeout(max(0.1, deadline - time.monotonic()))
                assert b" 408 " in until_closed(connection)
        finally:
            for connection in held:
                connection.close()

    def test_cors(self, front: RunningServer) -> None:
        headers = {"Origin": "https://a.example", "Access_Control_Request_Method": "POST"}
        reply = ask(front, "OPTIONS", "/predictions/raw", **headers)
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, "https://a.example")
        assert "authorization" in reply.headers["Access-Control-Allow-Headers"]
        reply = ask(front, "POST", "/predictions/raw", b"{}", Origin="https://a.example")
        assert reply.headers["Access-Control-Allow-Origin"] == "https://a.example"
        reply = ask(front, "POST", "/predictions/raw", b"{}", Origin="https://b.example")
        assert reply.headers["Access-Control-Allow-Origin"] is None


def listening(server: RunningServer) -> set[int]:
    """TCP ports on which the launcher, Java or a worker listens."""
    launcher = psutil.Process(server.process.pid)
    connections = [
        c for process in (launcher, *launcher.children(recursive=True)) for c in process.net_connections("tcp")
    ]
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


WITHOUT_KEY = {
    "/", "/ping", "/v2/health/live", "/v2/health/ready", "/v1/models/echo", "/v2/models/echo/ready",
    "/v2/models/echo/versions/1.0/ready",
}  # fmt: skip
ALL_PATHS = [
    *WITHOUT_KEY, "/metrics", "/models", "/models/echo", "/v1/models", "/v2", "/v2/models/echo",
    "/predictions/echo", "/predictions/echo/1.0/schema", "/api-description", "/workflows", "/invocations", "/nothing",
]  # fmt: skip


@pytest.mark.parametrize("options", [["--token"], ["--no-token", "--management", "0"]])
def test_all_ports_without_a_key(echo_store: Path, options: list[str]) -> None:
    with running_server(echo_store, *options) as server:
        ports = {name: urlsplit(getattr(server, name)).port for name in ("url", "metrics", "management")}
        assert listening(server) == {port for port in ports.values() if port}, "and no gRPC"
        for method in ("GET", "OPTIONS", "POST"):
            for path in ALL_PATHS:
                statuses = {name: status(port, method, path) for name, port in ports.items() if port}
                assert statuses["metrics"] == ({"GET": 200}.get(method, 405) if path == "/metrics" else 404)
                assert statuses.get("management", 401) == 401
                if options == ["--token"]:
                    expected = {"GET": 200}.get(method, 405) if path in WITHOUT_KEY else 401
                    assert statuses["url"] == expected, (method, path)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.metrics.replace("/metrics", "/predictions/echo"), timeout=10)
        assert f" {ports['url']}" in json.load(caught.value)["error"]["fix"]
        caught.value.close()
        running = registry.find(server.url)
        assert running is not None
        assert running.key_file is not None
        key = json.loads(Path(running.key_file).read_text())["management"]["key"]
        if ports["management"]:
            assert status(ports["management"], "GET", "/models", key) == 200
        assert key not in " ".join(word for p in family(server) for word in [*p.cmdline(), *p.environ().values()])


def family(server: RunningServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


def status(port: int, method: str, path: str, key: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method, path, b"" if method == "POST" else None, headers)
        return connection.getresponse().status


HANGS = """
import time

class Hangs:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        for row in data:
            body = row.get("body")
            if body == "hang":
                time.sleep(600)
            if body == "compute":
                end = time.monotonic() + 6
                while time.monotonic() < end:
                    pass
        return ["done"] * len(data)
"""


def test_replaces_a_worker_that_hangs_but_not_one_that_computes(archive: Callable[..., Path], tmp_path: Path) -> None:
    archive(tmp_path, "hangs", HANGS)
    text = "text/plain"
    with running_server(tmp_path, "--hang-timeout", "4") as server:
        workers = {process.pid for process in family(server) if "model_service_worker" in " ".join(process.cmdline())}
        assert ask(server, "POST", "/predictions/hangs", b"compute", Content_Type=text).body == b"done"
        assert workers < {process.pid for process in family(server)}
        began = time.monotonic()
        reply = ask(server, "POST", "/predictions/hangs", b"hang", Content_Type=text)
        assert (reply.status, reply.code) == (503, "worker_died")
        assert time.monotonic() - began < 15
        assert ask(server, "GET", "/ping").status == 503
        assert not workers & {process.pid for process in family(server)}
        assert ask(server, "POST", "/predictions/hangs", b"again", Content_Type=text).body == b"done"
        deadline = time.monotonic() + 20
        while ask(server, "GET", "/ping").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "hangs" in server.stderr.read_text()
