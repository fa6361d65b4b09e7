"""Requests to a server of any engine: with http.client, or raw."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from fastmar_serving.testing import RunningServer
from tests.runtime import tiny

KEY = "0123456789abcdef-fixed"  # of the server `keyed`
ORIGIN = "https://a.example"
JSON = "application/json"
PATH = "/predictions/tiny"
OLD, NEW = ">=50k", "<50k"  # predictions of 1.0 and of the flipped 2.0 for the record
RECORD = json.dumps(tiny.record()).encode()
LIMIT = 16 << 20  # bytes of a request
TIMEOUT = 60  # seconds; far more than a server needs on a busy machine


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


def call(
    server: RunningServer, method: str, path: str, body: Any = None, *, key: str | None = KEY, **headers: str
) -> Reply:
    """The response; other headers are keyword arguments with underscores instead of hyphens."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Authorization": f"Bearer {key}"} if key else {}
    with closing(http.client.HTTPConnection("127.0.0.1", port(server), timeout=TIMEOUT)) as connection:
        with suppress(BrokenPipeError):  # the server answers before it has read the whole body
            connection.request(method, path, body, sent, encode_chunked=not isinstance(body, bytes | str | None))
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())


def post(
    server: RunningServer, body: Any = RECORD, path: str = PATH, *, key: str | None = KEY, **headers: str
) -> Reply:
    return call(server, "POST", path, body, key=key, **{"Content_Type": JSON} | headers)


def command_runner(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """A function that runs a command for the server, checks its status, and returns standard output and error."""
    from fastmar_cli.main import main

    def run(*arguments: object, status: int = 0) -> tuple[str, str]:
        exit_status = main([*map(str, arguments), "--url", server.url])
        printed = capsys.readouterr()
        assert exit_status == status, printed.err
        return printed.out, printed.err

    return run


def prediction(server: RunningServer, path: str = PATH, *, key: str | None = KEY) -> Any:
    """The prediction for the record, or the status of a refusal."""
    reply = post(server, path=path, key=key)
    return reply.json["prediction"] if reply.status == 200 else reply.status


def port(server: RunningServer) -> int:
    found = urlsplit(server.url).port
    assert found is not None
    return found


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port(server)), timeout=TIMEOUT)


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(1 << 16):
            received += piece
    except TimeoutError:
        raise AssertionError(f"the connection is still open after {received!r}") from None
    return received


def wait_for(condition: Callable[[], object], seconds: float = 60.0, found: object = None) -> None:
    """Poll a condition until it is true; `found` is the message if it stays false."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, found
        time.sleep(0.05)
