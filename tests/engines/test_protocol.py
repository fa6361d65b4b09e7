"""HTTP: methods, paths, encodings, limits, connections, timeouts, origins."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fastmar_serving.testing import RunningServer
from tests.browser import Chromium
from tests.engines import Engine, needs
from tests.engines.calls import (
    KEY,
    LIMIT,
    OLD,
    ORIGIN,
    PATH,
    RECORD,
    TIMEOUT,
    call,
    connect,
    port,
    post,
    prediction,
    until_closed,
)

pytestmark = needs("launcher")

NEW_ID = r"[0-9a-f]{32}|[0-9a-f-]{36}"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"


class TestMethods:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD"])
    @pytest.mark.parametrize(
        "path", [PATH, "/v1/models/tiny:predict", "/v2/models/tiny/infer", "/invocations?model_name=tiny"]
    )
    def test_models_allow_only_post(self, keyed: RunningServer, method: str, path: str) -> None:
        reply = call(keyed, method, path)
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/ping", "/v1/models", "/v2", "/docs"])
    def test_documents_allow_get_and_head(self, keyed: RunningServer, path: str) -> None:
        assert call(keyed, "GET", path).status == 200
        reply = call(keyed, "HEAD", path)
        assert (reply.status, reply.body) == (200, b"")
        reply = call(keyed, "POST", path, b"{}")
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")

    @pytest.mark.parametrize(
        "path", ["/explanations/tiny", "/wfpredict/x", "/workflows", "/models", "/tiny/predict", "/predictions/", "//"]
    )
    def test_other_paths_have_status_404(self, keyed: RunningServer, path: str) -> None:
        assert post(keyed, b"{}", path).status == 404

    def test_liveness_check_of_kserves_v1_client(self, keyed: RunningServer) -> None:
        assert call(keyed, "GET", "/", key=None).json == {"status": "alive"}


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/predictions/none", "model_not_found"),
            ("/v1/models/none:predict", "model_not_found"),
            ("/predictions/tiny/9.9", "version_not_found"),
            ("/x", "not_found"),
            (f"{PATH}/", "not_found"),
            (f"{PATH}/9.9/", "not_found"),
        ],
    )
    def test_unknown_models_versions_and_paths(self, keyed: RunningServer, path: str, code: str) -> None:
        reply = post(keyed, path=path)
        assert (reply.code, reply.headers["Content-Type"]) == (code, "application/json")
        assert reply.status == 404
        assert set(reply.json["error"]) == {"code", "message", "fix"}

    def test_the_path_is_named(self, keyed: RunningServer) -> None:
        for path, fix in ((f"{PATH}/", "remove the slash"), ("/x", "POST to")):
            error = post(keyed, path=path).json["error"]
            assert f"'{path}'" in error["message"]
            assert error["fix"].startswith(fix)

    def test_documents_that_the_archive_does_not_have(self, keyed: RunningServer) -> None:
        reply = call(keyed, "GET", f"{PATH}/samples")
        assert (reply.status, reply.code) == (404, "not_found")
        assert "'samples'" in reply.json["error"]["message"]

    def test_case_v2_error_not_a_string(self, keyed: RunningServer) -> None:
        for path in ("/v2/models/none/infer", "/v2/models/tiny/versions/9/infer", "/v2/nothing"):
            reply = post(keyed, b"{}", path)
            assert reply.status == 404
            assert isinstance(reply.json["error"], str)

    def test_header_that_is_too_long(self, keyed: RunningServer) -> None:
        with connect(keyed) as connection, suppress(ConnectionError):
            connection.sendall(b"GET /ping HTTP/1.1\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n")
            assert until_closed(connection).split()[1:2] in ([b"431"], [b"400"], [])
        assert prediction(keyed) == OLD


class TestBodies:
    def test_case_gzip_body(self, keyed: RunningServer) -> None:
        raw_deflate = zlib.compressobj(wbits=-15)
        for encoding, data in {
            "gzip": gzip.compress(RECORD),
            "x-gzip": gzip.compress(RECORD),
            "GZIP": gzip.compress(RECORD),
            "Deflate": zlib.compress(RECORD),
            "deflate": raw_deflate.compress(RECORD) + raw_deflate.flush(),
            "identity": RECORD,
        }.items():
            assert post(keyed, data, Content_Encoding=encoding).json["prediction"] == OLD, encoding

    @pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
    def test_refuses_other_encodings(self, keyed: RunningServer, encoding: str) -> None:
        reply = post(keyed, b"x", Content_Encoding=encoding)
        assert (reply.status, reply.code) == (415, "content_encoding")
        assert reply.headers["Accept-Encoding"] == "gzip, deflate"

    @pytest.mark.parametrize(
        "data", [b"no gzip", gzip.compress(b"a" * 99, mtime=0)[:-12]], ids=["no gzip", "truncated"]
    )
    def test_damaged_gzip(self, keyed: RunningServer, data: bytes) -> None:
        reply = post(keyed, data, Content_Encoding="gzip")
        assert (reply.status, reply.code) == (400, "content_encoding")

    def test_limits_decompressed_bodies(self, keyed: RunningServer) -> None:
        reply = post(keyed, gzip.compress(bytes(LIMIT + 1)), Content_Encoding="gzip")
        assert (reply.status, reply.code) == (413, "too_large")

    def test_case_too_large_413(self, keyed: RunningServer) -> None:
        reply = post(keyed, bytes(LIMIT + 1))
        assert (reply.status, reply.code) == (413, "too_large")
        with suppress(ConnectionError):  # the server may close the connection early
            assert post(keyed, (bytes(1 << 20) for _ in range(20))).code == "too_large"
        assert post(keyed, RECORD + b" " * (LIMIT - len(RECORD))).json["prediction"] == OLD

    def test_chunked_body(self, keyed: RunningServer) -> None:
        assert post(keyed, (RECORD[at : at + 7] for at in range(0, len(RECORD), 7))).json["prediction"] == OLD

    def test_expect_100_continue(self, keyed: RunningServer) -> None:
        with connect(keyed) as connection:
            connection.sendall(f"{HEAD}Expect: 100-continue\r\nContent-Length: {len(RECORD)}\r\n\r\n".encode())
            assert connection.recv(999).startswith(b"HTTP/1.1 100 ")
            connection.sendall(RECORD)
            assert connection.recv(9999).startswith(b"HTTP/1.1 200 ")

    def test_expect_100_continue_of_a_body_that_is_too_large(self, keyed: RunningServer) -> None:
        with connect(keyed) as connection:
            connection.sendall(f"{HEAD}Expect: 100-continue\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode())
            received = b""
            while b"too_large" not in received:  # the body may arrive after the head
                piece = connection.recv(9999)
                assert piece, received
                received += piece
        assert received.startswith(b"HTTP/1.1 413 ")  # without a 100 before it


class TestConnections:
    def test_request_ids(self, keyed: RunningServer) -> None:
        assert post(keyed, X_Request_ID="mine-1").headers["x-request-id"] == "mine-1"
        for headers in ({}, {"X_Request_ID": "x" * 999}, {"X_Request_ID": "a b"}):
            assert re.fullmatch(NEW_ID, post(keyed, **headers).headers["x-request-id"])
        for path in ("/ping", "/nothing", "/predictions/none"):
            assert post(keyed, path=path, X_Request_ID="mine-2").headers["x-request-id"] == "mine-2"

    def test_pipelined_requests_are_answered_in_order(self, keyed: RunningServer) -> None:
        requests = [f"{HEAD}X-Request-ID: <{n}>\r\nContent-Length: {len(RECORD)}\r\n\r\n".encode() for n in range(30)]
        last = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        with connect(keyed) as connection:
            connection.sendall(b"".join([*(head + RECORD for head in requests), last]))
            text = until_closed(connection)
        assert text.count(b"HTTP/1.1 200 ") == 31
        assert [int(number) for number in re.findall(rb"<(\d+)>", text)] == list(range(30))

    @pytest.mark.parametrize("pause", [0.0, 0.1], ids=["one packet", "two packets"])
    def test_request_to_upgrade_to_http2_is_ignored(self, keyed: RunningServer, pause: float) -> None:
        """Java's client sends it with its first request."""
        upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
        with closing(connect(keyed)) as connection:
            for headers in (upgrade, ""):
                head = (
                    f"{HEAD}Content-Type: application/json\r\nContent-Length: {len(RECORD)}\r\n{headers}\r\n".encode()
                )
                connection.sendall(head if pause else head + RECORD)
                if pause:
                    time.sleep(pause)
                    connection.sendall(RECORD)
                response = http.client.HTTPResponse(connection)
                response.begin()
                assert response.status == 200
                assert json.loads(response.read())["prediction"] == OLD

    def test_request_after_a_refused_body_is_answered(self, keyed: RunningServer) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port(keyed), timeout=TIMEOUT)) as connection:
            connection.request("PUT", PATH, bytes(9999), {"Authorization": f"Bearer {KEY}"})
            assert connection.getresponse().read()
            connection.request("POST", PATH, RECORD, {"Authorization": f"Bearer {KEY}"})
            assert json.loads(connection.getresponse().read())["prediction"] == OLD

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_closes_the_connection_on_request(self, keyed: RunningServer, version: str) -> None:
        close = "Connection: close\r\n" if version == "1.1" else ""
        head = HEAD.replace("HTTP/1.1", f"HTTP/{version}")
        with connect(keyed) as connection:
            connection.sendall(f"{head}{close}Content-Length: {len(RECORD)}\r\n\r\n".encode() + RECORD)
            assert b" 200 " in until_closed(connection).splitlines()[0]

    def test_incomplete_body_times_out(self, keyed: RunningServer) -> None:
        with connect(keyed) as connection:
            connection.sendall(f"{HEAD}Content-Length: 99\r\n\r\n{{".encode())
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")

    @pytest.mark.parametrize("sent", [b"POST /pred", HEAD.encode()])
    def test_incomplete_head_times_out(self, keyed: RunningServer, sent: bytes) -> None:
        with connect(keyed) as connection:
            connection.sendall(sent)
            assert until_closed(connection)[:13] in (b"HTTP/1.1 408 ", b"")

    def test_slow_head_times_out(self, keyed: RunningServer) -> None:
        with connect(keyed) as connection, suppress(ConnectionError):
            connection.sendall(HEAD.encode())
            connection.settimeout(0.2)
            deadline = time.monotonic() + TIMEOUT
            while True:
                assert time.monotonic() < deadline
                connection.sendall(b"X: y\r\n")
                with suppress(TimeoutError):
                    assert connection.recv(99)[:13] in (b"HTTP/1.1 408 ", b"")
                    break


class TestOrigins:
    def test_cors(self, keyed: RunningServer) -> None:
        preflight = {"Origin": ORIGIN, "Access_Control_Request_Method": "POST"}
        reply = call(keyed, "OPTIONS", PATH, key=None, **preflight)
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert "authorization" in reply.headers["Access-Control-Allow-Headers"]
        assert post(keyed, Origin=ORIGIN).headers["Access-Control-Allow-Origin"] == ORIGIN
        assert post(keyed, Origin="https://b.example").headers["Access-Control-Allow-Origin"] is None

    def test_a_preflight_without_allowed_origins_names_the_option(self, engine: Engine, tiny_store: Path) -> None:
        with engine.serve(tiny_store) as server:
            reply = call(server, "OPTIONS", PATH, key=None, Origin=ORIGIN, Access_Control_Request_Method="POST")
        assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "method_not_allowed", "POST")
        assert "--cors-origins" in reply.json["error"]["fix"]

    def test_fetch_in_a_browser(self, keyed: RunningServer, page_origin: str, chromium: Chromium) -> None:
        script = """async ([url, key, body]) => {
            const headers = {"Content-Type": "application/json", "Authorization": `Bearer ${key}`};
            try { return await (await fetch(url, {method: "POST", headers, body})).json(); }
            catch (error) { return error.name; }
        }"""
        sent = [f"{keyed.url}{PATH}", KEY, RECORD.decode()]
        with closing(chromium.new_context()) as context:
            page = context.new_page()
            page.goto(page_origin)
            assert page.evaluate(script, sent)["prediction"] == OLD
            page.goto(page_origin.replace("127.0.0.1", "localhost"))  # another origin, which is not allowed
            assert page.evaluate(script, sent) == "TypeError"
