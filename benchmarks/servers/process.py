"""Starts a server as a child process, waits until it is ready, and ends it with all its descendants."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

READY_TIMEOUT = 120.0
STOP_TIMEOUT = 20.0
POLL = 0.05


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is ready.

    Attributes:
        process: the started process; its descendants belong to the server too.
        url: the address for records.
        start: seconds from the start until it was ready.
    """

    process: psutil.Process
    url: str
    start: float

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by name of the process: java, python."""
        seconds: dict[str, float] = {}
        for process in process_tree(self.process):
            with suppress(psutil.Error):
                times, name = process.cpu_times(), process.name().rstrip("0123456789.")
                seconds[name] = seconds.get(name, 0.0) + times.user + times.system
        return seconds

    def memory(self) -> float:
        """MiB of all processes; shared pages are divided between those that share them."""
        total = 0
        for process in process_tree(self.process):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 2**20


def process_tree(process: psutil.Process) -> list[psutil.Process]:
    """The process and its descendants."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_server(
    command: Sequence[str | Path],
    url: str | Callable[[str], str],
    is_ready: Callable[[str], bool],
    env: dict[str, str] | None = None,
) -> Iterator[RunningServer]:
    """Run `command` in a temporary folder, for the duration of a `with` block.

    Args:
        command: the command line.
        url: the address for records, or a function that finds it in the server's output.
        is_ready: whether the server is ready, given its output so far.
        env: additional environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as folder:
        log = Path(folder) / "output"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        processes = [process]
        try:
            began = time.monotonic()
            deadline = began + READY_TIMEOUT
            while not is_ready(printed := log.read_text("utf-8", "replace")):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{child.args} did not become ready:\n{printed[-4000:]}")
                time.sleep(POLL)
            seconds = time.monotonic() - began
            processes = process_tree(process)
            yield RunningServer(process, url(printed) if callable(url) else url, seconds)
        finally:
            _stop(child, [*processes, *process_tree(process)])


def _stop(child: subprocess.Popen[bytes], processes: list[psutil.Process]) -> None:
    """Terminate, wait, then kill; also descendants in other process groups."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for process in processes:
        with suppress(psutil.Error):  # psutil detects a reused process id
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_TIMEOUT)
