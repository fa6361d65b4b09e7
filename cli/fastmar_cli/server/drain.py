"""Stopping without losing a request: every request that was accepted is answered before the server goes.

1. The drain file appears: from now on TorchServe closes each connection behind the answer it gives (`patches.py`).
2. New connections: handshakes stop, those under way are finished and accepted, then the port refuses.
3. The connections that are left either wait for an answer, which closes them, or are idle. One that stays idle for a
   while is closed: its client finds that out before it sends, or can send again, since nothing was under way.

Where the system refuses access to the sockets (a container without the capability SYS_PTRACE), the refuse file and a
connection make TorchServe stop listening by itself, and connections are only counted. Two things are then not as good:
a connection whose handshake ends as the port closes is reset, and idle connections are reset after a grace period.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from fastmar_cli.server.config import RunDirectory, reachable
from fastmar_cli.server.sockets import (
    ProcessSockets,
    SocketsRefused,
    Traffic,
    connection_count,
    refuse_new_handshakes,
    traffic,
)

log = logging.getLogger(__name__)

POLL = 0.02  # seconds between two looks at the connections
HANDSHAKES_WITHIN = 1.0  # seconds that a handshake under way is given: a slow peer's round trip and a retransmission
IDLE_AFTER = 1000  # milliseconds without data after which a connection that owes nothing is closed
# When data last came and went within one tick of the kernel's clock (1 to 10 ms), the clock can't tell a request that
# was answered from one that followed an answer at once. Such a connection is taken for idle after more milliseconds,
# and only if no worker has been computing for a while.
IDLE_AFTER_WHEN_UNSURE = 5000
WORKERS_QUIET_FOR = 1.0  # seconds
GRACE_WHEN_BLIND = 5.0  # seconds in which nothing happens until connections that can't be touched are given up


def drain(pid: int, address: str, run: RunDirectory, *, timeout: float, hurry: threading.Event) -> None:
    """Let the server answer what it accepted, refuse what is new; returns when done, out of time, or hurried.

    `pid` is Java's, `address` the inference API's.
    """
    deadline = time.monotonic() + timeout
    port = urlsplit(address).port or 0
    run.drain_file.touch()
    try:
        with ProcessSockets(pid, port) as sockets:
            _stop_accepting(sockets, min(deadline, time.monotonic() + HANDSHAKES_WITHIN), hurry)
            left = _wait_until_closed(pid, sockets, deadline, hurry)
    except (SocketsRefused, OSError) as refusal:
        log.warning("TorchServe's sockets can't be touched here (%s): it is asked to close them itself", refusal)
        run.refuse_file.touch()
        with suppress(OSError):  # the port may be closed by now
            socket.create_connection((urlsplit(reachable(address)).hostname or "", port), timeout=1).close()
        left = _wait_blindly(pid, port, deadline, hurry)
    if left:
        log.warning("connections still open when the drain ended: %d", left)


def _stop_accepting(sockets: ProcessSockets, deadline: float, hurry: threading.Event) -> None:
    with sockets.listener() as listener:
        refuse_new_handshakes(listener)
        while (sockets.handshakes() or traffic(listener).waiting) and time.monotonic() < deadline:
            if hurry.wait(POLL / 10):
                break
        listener.shutdown(socket.SHUT_RDWR)


def _wait_until_closed(pid: int, sockets: ProcessSockets, deadline: float, hurry: threading.Event) -> int:
    """Number of connections left when the time is over."""
    workers = Workers(pid)
    while True:
        workers.look()
        connections = sockets.connections()
        for connection in connections:
            with connection, suppress(OSError):  # gone in the meantime
                if _is_idle(traffic(connection), workers.quiet_for()):
                    # TorchServe reads the end of the stream and closes; the peer gets a FIN.
                    connection.shutdown(socket.SHUT_RD)
        if not connections or time.monotonic() > deadline or hurry.wait(POLL):
            return len(connections)


def _wait_blindly(pid: int, port: int, deadline: float, hurry: threading.Event) -> int:
    """Wait until no connection is left, or those that are left are idle as far as one can tell: number of them.

    One that waits for an answer is closed behind it. So their number falls as long as something is under way and
    nothing is stuck; a worker that computes for long shows in its processor time.
    """
    workers = Workers(pid)
    before, unchanged_since = -1, time.monotonic()
    while True:
        workers.look()
        left = connection_count(pid, port)
        if left is None:  # not counted on this system
            left = 1
        if left != before:
            before, unchanged_since = left, time.monotonic()
        quiet = min(time.monotonic() - unchanged_since, workers.quiet_for())
        if left == 0 or quiet > GRACE_WHEN_BLIND or time.monotonic() > deadline or hurry.wait(POLL):
            return left


class Workers:
    """How long the processes that a process started have not computed anything, as far as one has looked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used = -1.0
        self._since = time.monotonic()

    def look(self) -> None:
        """Add up the processor time they have used; a difference means that one of them was busy."""
        used = 0.0
        with suppress(psutil.Error):
            for process in psutil.Process(self._pid).children(recursive=True):
                times = process.cpu_times()
                used += times.user + times.system
        if used != self._used:
            self._used = used
            self._since = time.monotonic()

    def quiet_for(self) -> float:
        """Seconds since they were last seen busy."""
        return time.monotonic() - self._since


def _is_idle(seen: Traffic, workers_quiet_for: float) -> bool:
    """Whether a connection owes no answer and has been quiet long enough to be closed."""
    if min(seen.since_received, seen.since_sent) < IDLE_AFTER:
        return False
    if seen.received == 0:
        return True
    if seen.packets_sent == 0 or seen.since_received < seen.since_sent:
        return False
    if seen.since_sent < seen.since_received:
        return True
    return seen.since_received >= IDLE_AFTER_WHEN_UNSURE and workers_quiet_for >= WORKERS_QUIET_FOR
