"""Limits the time in which the bodies of requests must arrive."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, cast

BYTES_PER_SECOND = 8192  # of a body: each of its parts extends the time limit by this rate


class Deadlines:
    """Limits the time in which bodies must arrive. Each body is read in a `with` block.

    One timer cancels all overdue tasks: a timer per request would take a tenth of the request's time.

    Args:
        seconds: maximum seconds for the arrival of a body, plus the time of what has arrived at `BYTES_PER_SECOND`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Start the time limit of the current task."""
        loop = asyncio.get_running_loop()
        self._ends[_this_task()] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._cancel, loop)

    def extend(self, size: int) -> None:
        """Extend the time limit of the current task, since `size` bytes have arrived."""
        self._ends[_this_task()] += size / BYTES_PER_SECOND

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it. Raises TimeoutError if the task was cancelled because it was overdue."""
        task = _this_task()
        del self._ends[task]
        if self._overdue and task in self._overdue:
            self._overdue.remove(task)
            if kind is asyncio.CancelledError:
                task.uncancel()
                raise TimeoutError from None

    def _cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel overdue tasks, and set the timer for the next one."""
        now = loop.time()
        for task, end in self._ends.items():
            if end <= now and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        ends = [end for end in self._ends.values() if end > now]
        # Later bodies wait for this timer, also if that of a large body could be hours away.
        self._timer = loop.call_at(min(*ends, now + self._seconds), self._cancel, loop) if ends else None


def _this_task() -> asyncio.Task[Any]:
    return cast(asyncio.Task[Any], asyncio.current_task())  # servers handle each request in a task
