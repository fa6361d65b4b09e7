"""Stopping without losing a request: every request that was accepted is answered before the server goes.

1. The drain file appears: from now on TorchServe closes each connection behind the answer it gives (`patches.py`).
2. The port refuses new connections; handshakes under way are finished and accepted.
3. The kernel is asked about the connections that are left, until none of them is owed an answer or a part of one. Idle
   ones may be left: they are closed as the server ends, when nothing is under way on them.

None of it needs a privilege. Where the system can't tell (it is no Linux, or a sandbox such as gVisor), connections are
only counted: the drain ends when none is left, or when nothing has happened for a while.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from fastmar_cli.server.config import RunDirectory
from fastmar_cli.server.sockets import (
    CLOSE_WAIT,
    ESTABLISHED,
    SYN_RECEIVED,
    Connection,
    Handover,
    connections,
    refuse_new_connections,
)

log = logging.getLogger(__name__)

POLL = 0.02  # seconds between two looks at the connections
HANDSHAKES_WITHIN = 1.0  # seconds that a handshake under way is given: a slow peer's round trip and a retransmission
IDLE_AFTER = 1000  # milliseconds without data after which a connection that is owed nothing counts as idle
# When data last came and went within one tick of the kernel's clock (1 to 10 ms), the clock can't tell a request that
# was answered from one that followed an answer at once. Such a connection is taken for idle after more milliseconds,
# and only if no worker has been computing for a while.
IDLE_AFTER_WHEN_UNSURE = 5000
WORKERS_QUIET_FOR = 1.0  # seconds
GRACE_WHEN_COUNTING = 5.0  # seconds in which nothing happens until connections that can't be watched are given up


def drain(
    pid: int, address: str, run: RunDirectory, handover: Handover, *, timeout: float, hurry: threading.Event
) -> None:
    """Let the server answer what it accepted, refuse what is new; returns when done, out of time, or hurried.

    `pid` is Java's, `address` the inference API's.
    """
    deadline = time.monotonic() + timeout
    port = urlsplit(address).port or 0
    try:
        run.drain_file.touch()
    except OSError as error:  # a full disk
        log.warning("connections that are kept open are not closed behind their answers: %s", error)
    try:
        family = _refuse_new(handover, port)
        left = _wait_until_answered(pid, family, port, deadline, hurry)
    except OSError as error:
        log.warning("connections can't be watched here (%s): they are counted instead", error)
        left = _wait_until_quiet(pid, port, deadline, hurry)
    if left:
        log.warning("connections still waiting when the drain ended: %d", left)


def _refuse_new(handover: Handover, port: int) -> int:
    """Close the port to newcomers; the family of its addresses."""
    listener = handover.listener(port)
    if listener is None:
        raise OSError("TorchServe has not handed its listening socket over")
    with listener:
        try:
            refuse_new_connections(listener)
        except OSError as error:
            log.warning("a connection that is made as the port closes may be reset: %s", error)
            listener.shutdown(socket.SHUT_RDWR)
        return listener.family


def _wait_until_answered(pid: int, family: int, port: int, deadline: float, hurry: threading.Event) -> int:
    """Number of connections that are still owed an answer when the time is over."""
    began = time.monotonic()
    workers = Workers(pid)
    while True:
        workers.look()
        elapsed = time.monotonic() - began
        waiting = sum(_is_owed(each, elapsed, workers.quiet_for()) for each in connections(family, port))
        if not waiting or time.monotonic() > deadline or hurry.wait(POLL):
            return waiting


def _wait_until_quiet(pid: int, port: int, deadline: float, hurry: threading.Event) -> int:
    """Wait until no connection is left, or those that are left are idle as far as one can tell: number of them.

    One that waits for an answer is closed behind it. So their number falls as long as something is under way and
    nothing is stuck; a worker that computes for long shows in its processor time.
    """
    workers = Workers(pid)
    before, unchanged_since = -1, time.monotonic()
    while True:
        workers.look()
        left = _connection_count(pid, port)
        if left != before:
            before, unchanged_since = left, time.monotonic()
        quiet = min(time.monotonic() - unchanged_since, workers.quiet_for())
        if left == 0 or quiet > GRACE_WHEN_COUNTING or time.monotonic() > deadline or hurry.wait(POLL):
            return left


def _connection_count(pid: int, port: int) -> int:
    """How many connections a process has on a local port; 1 where the system does not say."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return 0
    except (psutil.Error, OSError, NotImplementedError):
        return 1
    open_ones = (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT)
    return sum(each.status in open_ones and each.laddr.port == port for each in found)


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


def _is_owed(seen: Connection, elapsed: float, workers_quiet_for: float) -> bool:
    """Whether something is under way on a connection, `elapsed` seconds after the port was closed."""
    if seen.state == SYN_RECEIVED:
        return elapsed < HANDSHAKES_WITHIN
    if seen.queued or seen.state not in (ESTABLISHED, CLOSE_WAIT):  # in the others TorchServe has closed it: sending
        return True
    return not _is_idle(seen, workers_quiet_for)


def _is_idle(seen: Connection, workers_quiet_for: float) -> bool:
    """Whether an open connection is owed no answer and has been quiet long enough."""
    if min(seen.since_received, seen.since_sent) < IDLE_AFTER:
        return False
    if seen.received == 0:
        return True
    if seen.packets_sent == 0 or seen.since_received < seen.since_sent:
        return False
    if seen.since_sent < seen.since_received:
        return True
    return seen.since_received >= IDLE_AFTER_WHEN_UNSURE and workers_quiet_for >= WORKERS_QUIET_FOR
