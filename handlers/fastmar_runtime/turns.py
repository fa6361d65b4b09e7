"""Sharing of the processors between worker processes that compute slow models.

A batch of a slow model uses several threads, which halves the latency of a single picture. If all workers did so at the
same time, the threads would outnumber the processors. So workers take turns, model by model, and the graph's threads
have a low priority, so that fast models are computed first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO

from fastmar_contract.locks import acquire

MAX_THREADS = 4  # of a batch: more threads gain little for one picture
NICENESS = 10  # Linux gives the thread about a tenth of the processor time of a normal one that is ready to run
MAX_WAIT = 10.0  # seconds; then another worker's turn is ignored, because that worker may hang
_POLL = 0.001  # seconds
_THREADS = Path("/proc/self/task")


class Turn:
    """The turn to compute a model, in a `with` block; at most one process has it.

    Args:
        path: file of the model, the same for all workers that take turns.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Wait for the turn, at most `MAX_WAIT`.

        Another file is the place of the next one in the queue. So a process that ends its turn can't have it again
        before one that waits for it.
        """
        deadline = time.monotonic() + MAX_WAIT
        with self._path.with_suffix(".next").open("wb") as place:
            _wait(place, deadline)
            self._file = self._path.open("wb")
            _wait(self._file, deadline)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the turn."""
        self._file.close()


def _wait(file: IO[bytes], deadline: float) -> None:
    """Wait for the lock of a file, until `deadline` at most."""
    while not acquire(file) and time.monotonic() < deadline:
        time.sleep(_POLL)


@contextmanager
def new_threads_of_low_priority() -> Iterator[None]:
    """Give the threads that start in the `with` block a low priority. Only Linux has priorities of threads.

    They must not run Python: a thread that waits for a processor would keep the interpreter's lock from the others.
    """
    if sys.platform != "linux":
        yield
        return
    before = set(_THREADS.iterdir())
    yield
    for thread in set(_THREADS.iterdir()) - before:
        with suppress(OSError):  # it has ended, or a sandbox forbids it
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICENESS)


def turn_of(folder: Path, model: tuple[str, str], worker: int, slots: int) -> Turn:
    """The turn of a worker for a model.

    Args:
        folder: the folder of the files, shared by the workers of one server.
        model: name and version.
        worker: index of the worker.
        slots: number of workers that compute the same model at the same time.
    """
    digest = sha256(json.dumps([*model, worker % slots]).encode()).hexdigest()
    return Turn(folder / f"{digest[:32]}.turn")
