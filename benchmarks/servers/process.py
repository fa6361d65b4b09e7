"""A server as a process of its own: started on a free port, awaited, and ended with everything it started."""

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

READY_WITHIN = 120.0
STOPS_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        process: what was started; its children belong to the server too.
        url: where records go.
    """

    process: psutil.Process
    url: str

    def cpu(self) -> dict[str, float]:
        """Seconds of processor that each kind of process has taken so far, by name: java, python."""
        seconds: dict[str, float] = {}
        for process in family(self.process):
            with suppress(psutil.Error):
                times, name = process.cpu_times(), process.name().rstrip("0123456789.")
                seconds[name] = seconds.get(name, 0.0) + times.user + times.system
        return seconds


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that came of it."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    command: Sequence[str | Path],
    url: str | Callable[[str], str],
    is_ready: Callable[[str], bool],
    env: dict[str, str] | None = None,
) -> Iterator[Running]:
    """Run `command` in a folder of its own until the block ends.

    Args:
        command: what to run.
        url: where records go, or how to find that in what the server printed.
        is_ready: whether the server, which has printed that much, can be asked.
        env: variables on top of this process's own.
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
        relatives = [process]
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not is_ready(printed := log.read_text("utf-8", "replace")):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{child.args} did not become ready:\n{printed[-4000:]}")
                time.sleep(0.2)
            relatives = family(process)
            yield Running(process, url(printed) if callable(url) else url)
        finally:
            _stop(child, [*relatives, *family(process)])


def _stop(child: subprocess.Popen[bytes], relatives: list[psutil.Process]) -> None:
    """Ask, wait, insist; nobody of the family is left, whatever group they went to."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOPS_WITHIN)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for process in relatives:
        with suppress(psutil.Error):  # psutil knows a number that was given to another process by then
            process.kill()
    psutil.wait_procs(relatives, timeout=STOPS_WITHIN)
