"""How long processes have used no processor time, to find workers that hang."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

IDLE_LIMIT = 0.02  # seconds of processor time between two polls up to which a process counts as idle
MAX_INTERVAL = 3.0  # seconds between two polls after which all idle times start anew


class IdleTimes:
    """How long processes have used no processor time."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, float]] = {}  # by pid: processor time, and when it last changed
        self._updated = 0.0

    def update(self, pids: Iterable[int]) -> dict[int, float]:
        """Seconds since each process last used processor time; 0 for a process that is gone or new."""
        now = time.monotonic()
        before = self._seen if now - self._updated < MAX_INTERVAL else {}
        self._updated = now
        self._seen = {}
        for pid in pids:
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                used = times.user + times.system
                last, since = before.get(pid, (-1.0, now))
                self._seen[pid] = (last, since) if 0 <= used - last <= IDLE_LIMIT and last >= 0 else (used, now)
        return {pid: now - self._seen[pid][1] if pid in self._seen else 0.0 for pid in pids}
