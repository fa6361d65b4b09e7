"""The launcher's side of the front: a Unix socket over which it says what is served, and asks what is under way.

One JSON object a line, each answered by the front's state in one line (`front/Control.java`). The front connects as it
starts, and nobody can after it: the keys go over this socket and stand in no file or environment of Java's.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL = 0.1  # seconds between two looks at a Java that has not connected
ANSWERS_WITHIN = 30.0  # seconds; a long collection of garbage may stop Java for a while


@dataclass(frozen=True)
class Asked:
    """Requests for one model that are not answered.

    Attributes:
        in_flight: how many.
        oldest: seconds since the oldest came.
        unanswered: seconds in which no request for the model was answered.
    """

    in_flight: int
    oldest: float
    unanswered: float


@dataclass(frozen=True)
class State:
    """What is under way in the server.

    Attributes:
        in_flight: requests that models are answering.
        connections: open connections, of all APIs.
        owed: connections on which something is under way.
        models: requests by NAME, or NAME/VERSION where the request named one.
        takes_sockets: whether it can listen on a socket that it was handed.
    """

    in_flight: int
    connections: int
    owed: int
    models: dict[str, Asked]
    takes_sockets: bool


class Control:
    """The connection to the front; a context manager that listens for it."""

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
        """Wait until the front has connected; `check` is called meanwhile and raises when it never will."""
        while self._connection is None:
            with suppress(TimeoutError):
                self._connection, _ = self._listener.accept()
                self._connection.settimeout(ANSWERS_WITHIN)
            check()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def tell(self, **message: Any) -> State:
        """Send a message, none for a question, and return the state that it is answered with.

        Raises:
            OSError: the front is gone, or does not answer.
        """
        if self._connection is None:
            raise ConnectionError("the front has not connected")
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
            return _state(json.loads(self._line()))
        except (OSError, ValueError) as error:
            self._connection.close()  # a late answer would be taken for that to the next message
            raise ConnectionError(f"the front does not answer: {error}") from error

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            received = self._connection.recv(1 << 16) if self._connection else b""
            if not received:
                raise ConnectionError("it has closed the connection")
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def _state(content: dict[str, Any]) -> State:
    models = {name: Asked(**asked) for name, asked in content["models"].items()}
    return State(**{**content, "models": models})
