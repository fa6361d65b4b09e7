"""Workers that hang: requests wait for them, and they neither answer nor compute.

The time that a batch takes does not tell a hang from work: a long batch is fine. Processor time does. A worker counts
as hanging when requests of its model have waited for `after` seconds and the worker's process has used no processor
time for as long: it is in a deadlock, stopped, or waits for something that does not come. One that computes for ever is
ended by TorchServe after the model's responseTimeout.

With several workers it is not known which of them holds a request. All that stand still are then replaced; the others
of them had nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from fastmar_serving.torchserve.control import Asked

TICKS = 0.02  # seconds of processor time that a process which stands still may use between two looks
SKIPPED = 3.0  # seconds without a look after which nothing is known of the time between
WAITS = 1.0  # seconds that a request must have waited if others before it were given up by their callers


@dataclass(frozen=True)
class Worker:
    """A worker that is ready."""

    model: str
    version: str
    is_default: bool
    pid: int


class Hangs:
    """Finds workers that hang; must look about once a second."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._still = Stillness()

    def look(self, workers: Iterable[Worker], asked: Mapping[str, Asked]) -> list[Worker]:
        """Those of the workers that hang now."""
        workers = list(workers)
        still = self._still.look([worker.pid for worker in workers])
        if not self._after:
            return []
        return [worker for worker in workers if still[worker.pid] >= self._after and self._waits(worker, asked)]

    def _waits(self, worker: Worker, asked: Mapping[str, Asked]) -> bool:
        targets = [f"{worker.model}/{worker.version}"] + [worker.model] * worker.is_default
        waiting = [asked[target] for target in targets if target in asked]
        # Callers that give up early come back: then no request is old, but none is answered either.
        return any(
            each.oldest >= self._after or (each.oldest >= WAITS and each.unanswered >= self._after) for each in waiting
        )


class Stillness:
    """For how long processes have used no processor time, as far as was looked."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, float]] = {}  # processor time, and since when it is that
        self._looked = 0.0

    def look(self, pids: Iterable[int]) -> dict[int, float]:
        """Seconds for which each process has stood still; 0 for one that is gone or seen for the first time."""
        now = time.monotonic()
        before = self._seen if now - self._looked < SKIPPED else {}
        self._looked = now
        self._seen = {}
        for pid in pids:
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                used = times.user + times.system
                last, since = before.get(pid, (-1.0, now))
                self._seen[pid] = (last, since) if 0 <= used - last <= TICKS and last >= 0 else (used, now)
        return {pid: now - self._seen[pid][1] if pid in self._seen else 0.0 for pid in pids}
