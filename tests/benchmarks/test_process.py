"""Servers are ended with everything that they started."""

from __future__ import annotations

import sys

import psutil
import pytest
from benchmarks.servers.process import family, started

# Starts a child in a session of its own, as a server may, that outlives it; then waits.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("ready", flush=True)
time.sleep(300)
"""


def test_nothing_is_left() -> None:
    with started([sys.executable, "-c", PARENT], "http://x", lambda printed: "ready" in printed) as server:
        processes = family(server.process)
        assert len(processes) == 2
        assert server.cpu()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_a_server_that_ends_says_why() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with (
        pytest.raises(SystemExit, match="no such model"),
        started(command, "http://x", lambda printed: "ready" in printed),
    ):
        pass
