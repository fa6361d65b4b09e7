"""The drain, with a front that says what it is told to say, and the socket that it accepts on."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from typing import Any, cast

import pytest

from fastmar_serving.torchserve.control import Control, State
from fastmar_serving.torchserve.drain import HANDSHAKES_WITHIN, drain
from fastmar_serving.torchserve.errors import PortTaken
from fastmar_serving.torchserve.sockets import listen, refuse_new_connections

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux' sockets")


class Fake:
    """A front that owes as many connections as it says, the last number for ever."""

    def __init__(self, *busy_connections: int) -> None:
        self.busy_connections = list(busy_connections)
        self.told: list[dict[str, Any]] = []

    def send(self, **message: Any) -> State:
        self.told.append(message)
        left = self.busy_connections.pop(0) if len(self.busy_connections) > 1 else self.busy_connections[0]
        if left < 0:
            raise ConnectionError("gone")
        return State(in_flight=left, connections=left, busy_connections=left, models={}, takes_sockets=True)


def drained(front: Fake, listener: socket.socket | None = None, *, timeout: float = 9.0, hurry: bool = False) -> float:
    """Seconds that a drain takes."""
    event = threading.Event()
    if hurry:
        event.set()
    began = time.monotonic()
    drain(cast(Control, front), listener, timeout=timeout, hurry=event)
    return time.monotonic() - began


def test_it_waits_until_nothing_is_owed() -> None:
    front = Fake(3, 2, 2, 1, 0)
    assert HANDSHAKES_WITHIN <= drained(front) < 5
    assert front.told[0] == {"draining": True}
    assert front.busy_connections == [0]


def test_it_ends_when_the_time_is_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert drained(Fake(2), timeout=0.2) < 5
    assert caplog.messages == ["connections still waiting when the drain ended: 2"]


def test_a_second_signal_ends_the_wait() -> None:
    assert drained(Fake(2), hurry=True) < 5


def test_a_front_that_is_gone_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    assert drained(Fake(1, -1)) < 5
    assert caplog.messages == ["the drain was cut short: gone"]


@linux
def test_the_port_refuses_new_connections_and_gives_those_that_were_made() -> None:
    with listen("http://127.0.0.1:0") as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as made:
            drained(Fake(0), listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            accepted, _ = listener.accept()
            accepted.sendall(b"still here")
            accepted.close()
            assert made.recv(99) == b"still here"


@linux
def test_a_kernel_that_does_not_close_a_port_to_newcomers_closes_it_at_all(caplog: pytest.LogCaptureFixture) -> None:
    class Confined(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

    with Confined() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        refuse_new_connections(listener)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
    assert "may be reset: [Errno 1]" in caplog.text


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"can't listen on 127.0.0.1:{port}: .*\n  Fix: .*--port"):
            listen(f"http://127.0.0.1:{port}")
