from __future__ import annotations

import logging
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.server import drain as draining
from fastmar_cli.server.config import RunDirectory
from fastmar_cli.server.drain import drain
from fastmar_cli.server.sockets import ProcessSockets, SocketsRefused, Traffic, refuse_new_handshakes, traffic

STAY = threading.Event()


def test_without_access_to_the_sockets_torchserve_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*arguments: Any) -> ProcessSockets:
        raise SocketsRefused("pidfd_getfd: Operation not permitted")

    monkeypatch.setattr(draining, "ProcessSockets", refused)
    run = RunDirectory(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level(logging.WARNING):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=drain, args=(os.getpid(), url, run), kwargs={"timeout": 9, "hurry": STAY})
        thread.start()
        listener.accept()[0].close()  # the connection that makes TorchServe look at the file
        thread.join(5)
    assert run.drain_file.exists()
    assert run.refuse_file.exists()
    assert "pidfd_getfd: Operation not permitted" in caplog.text


def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    hurry = threading.Event()
    hurry.set()
    began = time.monotonic()
    drain(2**22, "http://127.0.0.1:1", RunDirectory(tmp_path), timeout=9, hurry=hurry)  # no such process
    assert time.monotonic() - began < 0.5


def test_a_listener_that_takes_no_handshake_keeps_its_connections() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as early,
    ):
        refuse_new_handshakes(listener)
        with socket.socket() as late:
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
        assert traffic(listener).waiting == 1
        served, _ = listener.accept()
        with served:
            early.sendall(b"hello")
            assert served.recv(5) == b"hello"
            assert traffic(served).received == 5
        listener.shutdown(socket.SHUT_RDWR)
        with socket.socket() as late, pytest.raises(ConnectionRefusedError):
            late.connect(listener.getsockname())


@pytest.mark.parametrize(
    ("seen", "workers_quiet_for", "idle"),
    [
        (Traffic(0, 0, 1500, 1500, 0), 0.0, True),  # connected, never asked
        (Traffic(9, 1, 2000, 1500, 0), 0.0, True),  # answered since
        (Traffic(9, 1, 1500, 2000, 0), 9.0, False),  # asked since
        (Traffic(9, 0, 9000, 9000, 0), 9.0, False),  # asked as it connected, not answered yet
        (Traffic(9, 1, 900, 800, 0), 9.0, False),  # too recent
        (Traffic(9, 1, 1500, 1500, 0), 9.0, False),  # which of the two was last?
        (Traffic(9, 1, 9000, 9000, 0), 0.1, False),  # a worker may be at it
        (Traffic(9, 1, 9000, 9000, 0), 9.0, True),
    ],
)
def test_idle(seen: Traffic, workers_quiet_for: float, idle: bool) -> None:
    assert draining._is_idle(seen, workers_quiet_for) is idle


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
        workers.look()
        time.sleep(0.1)
        workers.look()
        assert workers.quiet_for() >= 0.1
        print(file=worker.stdin)
        worker.stdout.readline()
        workers.look()
        assert workers.quiet_for() < 0.1
