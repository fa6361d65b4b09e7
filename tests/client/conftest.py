"""Fixtures: a scripted server in a thread, and the models of docs/client.md in this process and on a real server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.client.blocking import BlockingClient, Connect
from tests.client.models import InProcess, export_models
from tests.client.scripted import Scripted, Seen
from tests.client.tables import ROWS, write_table
from tests.engines import FAST
from tests.once import made_once

from fastmar_client import Client
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_serving.testing import RunningServer


@pytest.fixture(params=[Client, BlockingClient], ids=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """The class of the client: `Client`, and `AsyncClient` with blocking methods."""
    client_class: Connect = request.param
    return client_class


@pytest.fixture(scope="session")
def adult(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "client", export_models) / "store" / "adult.mar"


@pytest.fixture(scope="session")
def colours(adult: Path) -> Path:
    return adult.with_name("colours.mar")


@pytest.fixture(scope="session")
def served(adult: Path, colours: Path) -> Iterator[RunningServer]:
    """A real server with both models."""
    with FAST.serve(adult.parent) as running:
        yield running


@pytest.fixture(scope="session")
def predictor(adult: Path) -> Predictor:
    return Predictor.open(adult)


@pytest.fixture(scope="session")
def adult_schema(predictor: Predictor) -> dict[str, Any]:
    return describe(predictor.spec)


@pytest.fixture
def in_process(predictor: Predictor) -> InProcess:
    return InProcess(predictor)


@pytest.fixture
def local(in_process: InProcess) -> Client:
    """A client of the model `in_process`."""
    return Client(transport=in_process)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with scripted_server() as server:
        yield server


@contextmanager
def scripted_server(port: int = 0) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            server.seen.append(seen)
            reply = server.reply(seen)
            if reply is None:
                self.close_connection = True
                return
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # the client no longer waits
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server = Scripted(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "people.csv", ROWS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "answers.csv"


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable fsync, which only matters in a power failure."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
