"""Requests that never become complete, in front of a real waitress."""

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

from fastmar_web import serving, slow
from tests.web.conftest import listening
from tests.web.test_pages import FILLED

HALF = b"POST /models/people/table HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask]) -> Iterator[str]:
    """The app with short limits: 1 s for a request, and 1 s for each 100 bytes; 2 s of silence."""
    monkeypatch.setattr(slow, "PATIENCE", 1.0)
    monkeypatch.setattr(slow, "BYTES_A_SECOND", 100)
    monkeypatch.setattr(serving, "SILENCE", 2)
    monkeypatch.setattr(serving, "CLEANUP", 1)
    with listening(make_app()) as address:
        yield address


def connected(address: str) -> socket.socket:
    """A connection to the app."""
    made = socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=20)
    made.settimeout(20)
    return made


def is_closed(connection: socket.socket) -> bool:
    """Whether the app closes the connection without an answer, within 20 s."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_300_half_sent_requests_keep_nobody_out_and_end(quick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "PATIENCE", 4.0)  # all are held while the form is answered
    with ExitStack() as held:
        half = []
        for _ in range(300):
            half.append(held.enter_context(connected(quick)))
            half[-1].sendall(HALF)  # at once: a connection that stays silent is closed
        begin = time.monotonic()
        page = requests.post(f"{quick}/models/people", data=FILLED, timeout=10)
        assert time.monotonic() - begin < 2
        assert "94% sure" in page.text
        assert all(map(is_closed, half))


@pytest.mark.parametrize("sent", [b"", HALF + b"\r\n"], ids=["headers", "body"])
def test_a_request_that_comes_byte_by_byte_ends(quick: str, sent: bytes) -> None:
    """Silence never lasts, so the time-out for it does not help."""
    with connected(quick) as connection:
        connection.sendall(sent)
        begin = time.monotonic()
        connection.settimeout(0.1)
        closed = False
        while not closed and time.monotonic() - begin < 15:
            try:
                connection.sendall(b"x")
                closed = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
        assert time.monotonic() - begin < 8


def test_a_slow_request_with_enough_bytes_a_second_is_answered(quick: str) -> None:
    """Slower than the time for a small request: 2 s for 600 bytes, of which 100 take 1 s at most."""
    with connected(quick) as connection:
        connection.sendall(b"POST /models/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600\r\n")
        connection.sendall(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        for _ in range(20):
            time.sleep(0.1)
            connection.sendall(b"x" * 30)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_connection_that_waits_for_its_next_request_is_not_one_that_drips(quick: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{quick}/health", timeout=5).status_code == 200
            time.sleep(0.6)


def test_an_answer_that_takes_longer_than_a_request_may_is_not_cut_off(
    quick: str, fake: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    answers = fake.answers  # type: ignore[attr-defined]
    reply = answers["people"]
    monkeypatch.setitem(answers, "people", lambda _: (may_end.wait(2.5), reply)[1])
    assert "94% sure" in requests.post(f"{quick}/models/people", data=FILLED, timeout=20).text
