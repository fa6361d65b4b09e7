"""A worker process, and the socket to it for commands."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fastmar_serving.errors import LoadFailed
from fastmar_serving.settings import PYTHON_VARIABLES

MODULE = "fastmar_runtime.engines.asgi_worker"
STARTED = 0  # id of the reply to the configuration

Change = tuple[str, list[str], float]  # name of a metric, values of its labels, and the increment or value


class WorkerGone(Exception):
    """The worker ended before it replied."""


class NoReply(Exception):
    """The worker did not reply before the timeout."""


class WorkerProcess:
    """A worker that serves on `listener`, which stays open here: connections wait in it while the worker is replaced.

    Args:
        listener: a listening socket.
        configuration: see `fastmar_runtime.engines.asgi_configuration.Configuration`, without the listener.
        on_metrics: a function that is called with the changes of the worker's metrics, in a thread of its own.
    """

    def __init__(
        self, listener: socket.socket, configuration: Mapping[str, Any], on_metrics: Callable[[list[Change]], None]
    ) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name not in PYTHON_VARIABLES}
        environment |= {"PYTHONFAULTHANDLER": "1", "OMP_NUM_THREADS": str(configuration.get("threads", 1))}
        # In its own process group, Ctrl-C in a terminal does not reach it, so that the launcher can drain first.
        self._process = subprocess.Popen(  # noqa: S603 - a module of fastmar
            [sys.executable, "-m", MODULE, str(theirs.fileno())],
            pass_fds=[theirs.fileno(), listener.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            process_group=0,
        )
        theirs.close()
        self._socket = ours
        self._numbers = STARTED
        self._replies: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._gone = False
        self._on_metrics = on_metrics
        self._send({**configuration, "listener": listener.fileno()})
        threading.Thread(target=self._read, name=f"worker {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def begin(self, command: str, **arguments: Any) -> int:
        """Send a command; returns the number to `wait` for."""
        with self._changed:
            self._numbers += 1
            number = self._numbers
        self._send({"id": number, "command": command, **arguments})
        return number

    def wait(self, number: int, timeout: float) -> None:
        """Wait for the reply to a command; the reply to the configuration is number 0.

        Raises:
            LoadFailed: the command failed; has the worker's message.
            WorkerGone: it ended.
            NoReply: there is none after `timeout` seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: number in self._replies or self._gone, timeout)
            reply = self._replies.pop(number, None)
        if reply is None:
            raise WorkerGone if self._gone else NoReply
        if error := reply.get("error"):
            failed = LoadFailed(error["message"], fix=error["fix"], code=error["code"])
            failed.file = error.get("file")
            raise failed

    def has_replied(self, number: int) -> bool:
        """Whether the reply to a command has arrived."""
        with self._changed:
            return number in self._replies

    def stop(self, timeout: float) -> None:
        """Wait until the process ends; kill it after `timeout` seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, timeout))
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._socket.close()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        with suppress(OSError):  # it has ended; `_read` handles that
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        with suppress(OSError, ValueError), self._socket.makefile("rb") as lines:
            for line in lines:
                reply = json.loads(line)
                if "metrics" in reply:
                    self._on_metrics(reply["metrics"])
                    continue
                with self._changed:
                    self._replies[reply["id"]] = reply
                    self._changed.notify_all()
        with self._changed:
            self._gone = True
            self._changed.notify_all()
