"""The drain with a fake front, and the socket of the inference API."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from typing import Any, cast

import pytest

from fastmar_serving.errors import PortTaken
from fastmar_serving.sockets import listen, refuse_new_connections
from fastmar_serving.torchserve.control import Control, State
from fastmar_serving.torchserve.drain import HANDSHAKE_TIMEOUT, drain

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux' sockets")


class Fake:
    """A front that reports the given numbers of busy connections in turn, then always the last. -1 raises."""

    def __init__(self, *busy_connections: int) -> None:
        self.busy_connections = list(busy_connections)
        self.messages: list[dict[str, Any]] = []

    def send(self, **message: Any) -> State:
        self.messages.append(message)
        left = self.busy_connections.pop(0) if len(self.busy_connections) > 1 else self.busy_connections[0]
        if left < 0:
            raise ConnectionError("gone")
        return State(in_flight=left, connections=left, busy_connections=left, models={}, takes_sockets=True)


def drain_seconds(
    front: Fake, listener: socket.socket | None = None, *, timeout: float = 120.0, hurry: bool = False
) -> float:
    """Duration of a drain."""
    event = threading.Event()
    if hurry:
        event.set()
    began = time.monotonic()
    drain(cast(Control, front), listener, timeout=timeout, hurry=event)
    return time.monotonic() - began


def test_waits_until_no_connection_is_busy() -> None:
    front = Fake(3, 2, 2, 1, 0)
    assert HANDSHAKE_TIMEOUT <= drain_seconds(front) < 60
    assert front.messages[0] == {"draining": True}
    assert front.busy_connections == [0]


def test_ends_after_the_timeout(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert drain_seconds(Fake(2), timeout=0.2) < 60
    [message] = caplog.messages
    assert message.endswith(": 2")


def test_hurry_ends_the_wait() -> None:
    assert drain_seconds(Fake(2), hurry=True) < 60


def test_ends_if_the_front_does_not_reply(caplog: pytest.LogCaptureFixture) -> None:
    assert drain_seconds(Fake(1, -1)) < 60
    [message] = caplog.messages
    assert message.endswith(": gone")


@linux
def test_refuses_new_connections_but_accepts_completed_ones() -> None:
    with listen("http://127.0.0.1:0") as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as connection:
            drain_seconds(Fake(0), listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            accepted, _ = listener.accept()
            accepted.sendall(b"still here")
            accepted.close()
            assert connection.recv(99) == b"still here"


@linux
def test_shuts_the_socket_down_if_the_kernel_refuses_the_option(caplog: pytest.LogCaptureFixture) -> None:
    class Confined(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

    with Confined() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        refuse_new_connections(listener)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
    assert "[Errno 1]" in caplog.text


def test_names_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listen(f"http://127.0.0.1:{port}")
        assert f"127.0.0.1:{port}" in caught.value.message
        assert "--port" in caught.value.fix
