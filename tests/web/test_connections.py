"""Limits on slow requests and on connections of one client, with a real waitress."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask

from fastmar_web import connections, serving
from tests.web.conftest import listening
from tests.web.test_pages import FILLED

TIMEOUT = 60
HALF = b"POST /models/people/table HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask]) -> Iterator[str]:
    """The app with short limits: 1 s for a request, and 1 s for each 100 bytes; 2 s of silence."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(connections, "MIN_BYTES_PER_SECOND", 100)
    monkeypatch.setattr(serving, "IDLE_SECONDS", 2)
    monkeypatch.setattr(serving, "CLEANUP_SECONDS", 1)
    with listening(make_app()) as address:
        yield address


def connected(address: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection from `source` to the app."""
    server = ("127.0.0.1", urlsplit(address).port or 0)
    return socket.create_connection(server, timeout=TIMEOUT, source_address=(source, 0))


def is_closed(connection: socket.socket) -> bool:
    """Whether the app closes the connection without a response."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_incomplete_requests_block_nobody_and_are_closed(short_limits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 600.0)  # all stay open while the form is answered
    with ExitStack() as stack:
        incomplete = []
        for _ in range(connections.CONNECTIONS_PER_CLIENT - 10):
            incomplete.append(stack.enter_context(connected(short_limits)))
            incomplete[-1].sendall(HALF)  # at once, since silent connections are closed
        page = requests.post(f"{short_limits}/models/people", data=FILLED, timeout=TIMEOUT)
        assert "94% sure" in page.text
        monkeypatch.setattr(connections, "REQUEST_SECONDS", 1.0)
        assert all(map(is_closed, incomplete))


@pytest.mark.parametrize("start", [b"", HALF + b"\r\n"], ids=["headers", "body"])
def test_a_request_that_arrives_byte_by_byte_is_closed(short_limits: str, start: bytes) -> None:
    """The connection is never idle, so the idle time-out does not close it."""
    with connected(short_limits) as connection:
        connection.sendall(start)
        ends = time.monotonic() + TIMEOUT
        connection.settimeout(0.1)
        closed = False
        while not closed and time.monotonic() < ends:
            try:
                connection.sendall(b"x")
                closed = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed


def test_a_slow_request_above_the_minimum_rate_is_answered(short_limits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 bytes in 2 s: over the fixed time, but far above 10 bytes per second."""
    monkeypatch.setattr(connections, "MIN_BYTES_PER_SECOND", 10)
    with connected(short_limits) as connection:
        connection.sendall(b"POST /models/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600\r\n")
        connection.sendall(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        for _ in range(20):
            connection.sendall(b"x" * 30)
            time.sleep(0.1)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_connection_stays_open_between_requests(short_limits: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{short_limits}/health", timeout=TIMEOUT).status_code == 200
            time.sleep(0.6)


def test_a_slow_answer_is_not_cut_off(short_limits: str, fake: object, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    answers = fake.answers  # type: ignore[attr-defined]
    reply = answers["people"]
    monkeypatch.setitem(answers, "people", lambda _: (may_end.wait(2.5), reply)[1])
    assert "94% sure" in requests.post(f"{short_limits}/models/people", data=FILLED, timeout=TIMEOUT).text


def test_one_client_cannot_use_all_connections(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this limit, the client would block all others until the idle time-out of 20 s."""
    monkeypatch.setattr(serving, "CONNECTIONS", 60)
    monkeypatch.setattr(connections, "CONNECTIONS_PER_CLIENT", 40)
    with listening(make_app()) as address, ExitStack() as stack:
        try:
            opened = [stack.enter_context(connected(address, source="127.0.0.2")) for _ in range(80)]
        except OSError:
            pytest.skip("the system has no address 127.0.0.2")
        page = requests.post(f"{address}/models/people", data=FILLED, timeout=TIMEOUT)
        assert "94% sure" in page.text
        assert all(map(is_closed, opened[40:]))
        opened[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            opened[0].recv(1)  # still open


@pytest.mark.parametrize("trusted", ["127.0.0.1", "*"])
def test_connections_of_a_trusted_proxy_are_not_limited(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_PER_CLIENT", 2)
    with listening(make_app(), trusted_proxy=trusted) as address, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(address))
        assert requests.get(f"{address}/health", timeout=TIMEOUT).status_code == 200
