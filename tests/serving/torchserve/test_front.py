"""The front with a real TorchServe and raw sockets: routes, errors, bodies, connections and keys."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.engines.calls import Reply, call, connect, until_closed, wait_for

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
    return call(server, method, path, body, key=None, **headers)


class TestErrors:
    def test_invocations_without_model_name(self, front: RunningServer) -> None:
        assert ask(front, "POST", "/invocations", b"{}").code == "model_name_required"


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

    @pytest.mark.parametrize("document", ["schema", "openapi.json", "openapi-3.0.json", "openapi", "docs", "samples"])
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

    def test_1000_incomplete_requests_time_out(self, front: RunningServer) -> None:
        held = [connect(front) for _ in range(1000)]
        try:
            for connection in held:
                connection.sendall(b"POST /predictions/raw HTTP/1.1\r\n")
            assert ask(front, "POST", "/predictions/raw", b"{}").status == 200
            for connection in held:
                assert b" 408 " in until_closed(connection)
        finally:
            for connection in held:
                connection.close()


WITHOUT_KEY = {
    "/", "/ping", "/v2/health/live", "/v2/health/ready", "/v1/models/echo", "/v2/models/echo/ready",
    "/v2/models/echo/versions/1.0/ready",
}  # fmt: skip
ALL_PATHS = [
    *WITHOUT_KEY, "/metrics", "/models", "/models/echo", "/v1/models", "/v2", "/v2/models/echo",
    "/predictions/echo", "/predictions/echo/1.0/schema", "/api-description", "/workflows", "/invocations", "/nothing",
]  # fmt: skip


def family(server: RunningServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


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
        reply = ask(server, "POST", "/predictions/hangs", b"hang", Content_Type=text)
        assert (reply.status, reply.code) == (503, "worker_died")
        assert ask(server, "GET", "/ping").status == 503
        wait_for(lambda: not workers & {process.pid for process in family(server)})
        assert ask(server, "POST", "/predictions/hangs", b"again", Content_Type=text).body == b"done"
        wait_for(lambda: ask(server, "GET", "/ping").status == 200)
        assert "hangs" in server.stderr.read_text()
