"""wrk as a load generator."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import generators
from benchmarks.generators import run_fast

pytestmark = pytest.mark.skipif(generators.WRK is None, reason="wrk is not installed")
RECORDS = [{"a": "\u00e9\n1"}, {"b": 2}]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: set[bytes]
    status = 200

    def do_POST(self) -> None:
        self.received.add(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def handler() -> type[Handler]:
    return type("OfTest", (Handler,), {"received": set()})


@pytest.fixture
def url(handler: type[Handler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/x"
        server.shutdown()


def written(folder: Path) -> Path:
    path = folder / "requests.json"
    path.write_text(json.dumps(RECORDS), "utf-8")
    return path


def test_wrk_sends_all_bodies(url: str, handler: type[Handler], tmp_path: Path) -> None:
    load = run_fast(url, written(tmp_path), "application/json", 2, 1)
    assert load.requests > 0
    assert load.rate == pytest.approx(load.requests / load.seconds)
    assert load.p50 <= load.p99 <= load.longest
    assert sorted(map(json.loads, handler.received), key=str) == sorted(RECORDS, key=str)


def test_wrk_refuses_other_statuses(url: str, handler: type[Handler], tmp_path: Path) -> None:
    handler.status = 503
    with pytest.raises(SystemExit):
        run_fast(url, written(tmp_path), "application/json", 2, 1)
