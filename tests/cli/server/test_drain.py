from __future__ import annotations

import logging
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.cli.server.conftest import hand_over

from fastmar_cli.server import drain as draining
from fastmar_cli.server.config import RunDirectory
from fastmar_cli.server.drain import drain
from fastmar_cli.server.sockets import (
    CLOSE_WAIT,
    ESTABLISHED,
    FIN_WAIT1,
    LAST_ACK,
    SYN_RECEIVED,
    Connection,
    Handover,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux' sockets")
SECONDS = 10.0


@contextmanager
def draining_of(listener: socket.socket, folder: Path, *, handed: bool = True) -> Iterator[threading.Thread]:
    """A drain of this process' port, under way."""
    run = RunDirectory(folder)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    hurry = threading.Event()
    with Handover(run.handover) as handover:
        if handed:
            hand_over(run.handover, listener)
        options = {"timeout": SECONDS, "hurry": hurry}
        thread = threading.Thread(target=drain, args=(os.getpid(), url, run, handover), kwargs=options)
        thread.start()
        try:
            yield thread
        finally:
            hurry.set()
            thread.join()


def wait_until_refused(listener: socket.socket) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(listener.getsockname()):
                listener.accept()[0].close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("the port still takes connections")


@linux
def test_it_waits_for_an_answer_and_not_for_the_idle(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as idle,
        listener.accept()[0],
        socket.create_connection(listener.getsockname()) as asking,
        listener.accept()[0] as asked,
    ):
        asking.sendall(b"request")
        asked.recv(9)
        with draining_of(listener, tmp_path) as thread:
            wait_until_refused(listener)
            assert (tmp_path / "drain").exists()
            thread.join(1.5)  # longer than a connection takes to count as idle
            assert thread.is_alive()
            asked.sendall(b"answer")
            thread.join(SECONDS)
            assert not thread.is_alive()
        idle.sendall(b"still open")


@linux
def test_it_waits_until_the_peer_has_the_whole_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        served = listener.accept()[0]
        served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        served.sendall(bytes(100_000))
        served.close()
        with draining_of(listener, tmp_path) as thread:
            thread.join(1.5)
            assert thread.is_alive()
            taken = 0
            while got := client.recv(1 << 16):
                taken += len(got)
            assert taken == 100_000
            client.close()
            thread.join(SECONDS)
            assert not thread.is_alive()


@linux
def test_a_kernel_that_does_not_close_a_port_to_newcomers_closes_it_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(listener: socket.socket) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(draining, "refuse_new_connections", refused)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        caplog.at_level(logging.WARNING),
        draining_of(listener, tmp_path) as thread,
    ):
        thread.join(SECONDS)
        assert not thread.is_alive()
        wait_until_refused(listener)
    assert "may be reset: [Errno 1]" in caplog.text


def test_connections_that_cannot_be_watched_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        caplog.at_level(logging.WARNING),
    ):
        served = listener.accept()[0]
        with draining_of(listener, tmp_path, handed=False) as thread:
            thread.join(0.3)
            assert thread.is_alive()
            served.close()
            client.close()
            thread.join(SECONDS)
            assert not thread.is_alive()
    assert "can't be watched here (TorchServe has not handed its listening socket over)" in caplog.text


def test_counting_ends_when_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "GRACE_WHEN_COUNTING", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        served = listener.accept()[0]
        port, deadline = listener.getsockname()[1], time.monotonic() + SECONDS
        assert draining._wait_until_quiet(os.getpid(), port, deadline, threading.Event()) == 1
        assert time.monotonic() < deadline
        served.close()


@linux
def test_a_full_disk_does_not_keep_the_port_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = RunDirectory(tmp_path / "gone")  # where nothing can be written
    with socket.create_server(("127.0.0.1", 0)) as listener, Handover(tmp_path / "handover") as handover:
        hand_over(tmp_path / "handover", listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        drain(os.getpid(), url, run, handover, timeout=SECONDS, hurry=threading.Event())
        wait_until_refused(listener)
    assert "not closed behind their answers: [Errno 2]" in caplog.text


def test_a_process_that_is_gone_has_no_connection() -> None:
    assert draining._connection_count(2**22, 1) == 0


def test_a_system_that_does_not_count_has_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(process: psutil.Process, kind: str) -> None:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "net_connections", denied)
    assert draining._connection_count(os.getpid(), 1) == 1


def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    hurry = threading.Event()
    hurry.set()
    began = time.monotonic()
    run = RunDirectory(tmp_path)
    with Handover(run.handover) as handover:
        drain(os.getpid(), "http://127.0.0.1:1", run, handover, timeout=9, hurry=hurry)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("seen", "workers_quiet_for", "owed"),
    [
        (Connection(ESTABLISHED, 0, 0, 0, 1500, 1500), 0.0, False),  # connected, never asked
        (Connection(ESTABLISHED, 0, 0, 0, 900, 900), 9.0, True),  # connected just now
        (Connection(ESTABLISHED, 0, 9, 1, 2000, 1500), 0.0, False),  # answered since
        (Connection(ESTABLISHED, 0, 9, 1, 1500, 2000), 9.0, True),  # asked since
        (Connection(ESTABLISHED, 0, 9, 0, 9000, 9000), 9.0, True),  # asked as it connected, not answered yet
        (Connection(CLOSE_WAIT, 0, 9, 0, 9000, 9000), 9.0, True),  # and the peer has said that this is all
        (Connection(ESTABLISHED, 0, 9, 1, 900, 800), 9.0, True),  # too recent
        (Connection(ESTABLISHED, 0, 9, 1, 1500, 1500), 9.0, True),  # which of the two was last?
        (Connection(ESTABLISHED, 0, 9, 1, 9000, 9000), 0.1, True),  # a worker may be at it
        (Connection(ESTABLISHED, 0, 9, 1, 9000, 9000), 9.0, False),
        (Connection(ESTABLISHED, 7, 9, 1, 2000, 1500), 9.0, True),  # a part of the answer is on its way
        (Connection(FIN_WAIT1, 7, 9, 1, 2000, 1500), 9.0, True),  # the same, behind the close
        (Connection(LAST_ACK, 0, 9, 1, 2000, 1500), 9.0, True),
    ],
)
def test_owed(seen: Connection, workers_quiet_for: float, owed: bool) -> None:
    assert draining._is_owed(seen, 0.0, workers_quiet_for) is owed


def test_a_handshake_is_given_its_time() -> None:
    shaking = Connection(SYN_RECEIVED, 0, 0, 0, 0, 0)
    assert draining._is_owed(shaking, 0.9, 9.0)
    assert not draining._is_owed(shaking, 1.1, 9.0)


def test_workers_that_compute_are_not_quiet() -> None:
    script = """
import sys, time
print(flush=True)
for line in sys.stdin:
    end = time.time() + 0.2
    while time.time() < end:
        pass
    print(flush=True)
"""
    # A shell in between, so that the shared server's processes are no children of the one that is looked at.
    command = ["sh", "-c", f"{shlex.join([sys.executable, '-c', script])}; true"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as worker:
        assert worker.stdin
        assert worker.stdout
        worker.stdout.readline()
        workers = draining.Workers(worker.pid)
        patience = time.monotonic() + 20  # on a busy machine it is a while until it waits for its line
        while workers.quiet_for() < 0.1 and time.monotonic() < patience:
            workers.look()
            time.sleep(0.05)
        assert workers.quiet_for() >= 0.1
        print(file=worker.stdin)
        worker.stdout.readline()
        workers.look()
        assert workers.quiet_for() < 0.1
