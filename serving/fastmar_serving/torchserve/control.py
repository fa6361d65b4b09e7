"""The launcher's connection to the front: a Unix socket that configures the front and reads its state.

The front is the Java code that receives each request before TorchServe does (`front/`).

Each message is one line of JSON, answered by one line with the front's state (`front/Control.java`). The socket accepts
one connection, since the keys are sent over it; they are in no file or environment variable of the Java process.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL = 0.1  # seconds between two checks while the front has not connected
REPLY_TIMEOUT = 30.0  # seconds; a long garbage collection may pause Java


@dataclass(frozen=True)
class PendingRequests:
    """Unanswered requests for one model.

    Attributes:
        in_flight: number of requests.
        oldest: age of the oldest request in seconds.
        unanswered: seconds since the model last answered a request.
    """

    in_flight: int
    oldest: float
    unanswered: float


@dataclass(frozen=True)
class State:
    """State of the front.

    Attributes:
        in_flight: number of requests that models are answering.
        connections: number of open connections of all APIs.
        busy_connections: number of connections with a request, a response or recent data.
        models: pending requests by NAME, or by NAME/VERSION if the request names a version.
        takes_sockets: whether the front can accept on a socket that the launcher passes to it.
    """

    in_flight: int
    connections: int
    busy_connections: int
    models: dict[str, PendingRequests]
    takes_sockets: bool


class Control:
    """The connection to the front; as a context manager it listens for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._unread = b""

    def __enter__(self) -> Control:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen(1)
        self._listener.settimeout(POLL)
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)
        if self._connection is not None:
            self._connection.close()

    def wait_for_front(self, check: Callable[[], None]) -> None:
        """Wait until the front has connected. Calls `check` repeatedly, which raises if the server has died."""
        while self._connection is None:
            with suppress(TimeoutError):
                self._connection, _ = self._listener.accept()
                self._connection.settimeout(REPLY_TIMEOUT)
            check()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def send(self, **message: Any) -> State:
        """Send a message and return the front's state. An empty message only reads the state.

        Raises:
            OSError: the front does not answer.
        """
        if self._connection is None:
            raise ConnectionError("the front has not connected")
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
            return _state(json.loads(self._line()))
        except (OSError, ValueError) as error:
            self._connection.close()  # a late reply would be read as the reply to the next message
            raise ConnectionError(f"the front does not answer: {error}") from error

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            received = self._connection.recv(1 << 16) if self._connection else b""
            if not received:
                raise ConnectionError("it closed the connection")
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def _state(content: dict[str, Any]) -> State:
    models = {name: PendingRequests(**pending) for name, pending in content["models"].items()}
    return State(**{**content, "models": models})
