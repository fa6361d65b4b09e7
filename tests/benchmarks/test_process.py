"""Servers are ended with all their descendants."""

from __future__ import annotations

import sys

import psutil
import pytest
from benchmarks.servers.process import process_tree, run_server

# Starts a child in another session, as a server may; the child outlives its parent.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("ready", flush=True)
time.sleep(300)
"""


def test_descendants_are_ended() -> None:
    with run_server([sys.executable, "-c", PARENT], "http://x", lambda printed: "ready" in printed) as server:
        processes = process_tree(server.process)
        assert len(processes) == 2
        assert server.cpu()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_output_of_a_failed_server_is_in_the_error() -> None:
    command = [sys.executable, "-c", "print(6 * 7); raise SystemExit(1)"]
    with (
        pytest.raises(SystemExit) as caught,
        run_server(command, "http://x", lambda printed: "ready" in printed),
    ):
        pass
    assert "42" in str(caught.value)
