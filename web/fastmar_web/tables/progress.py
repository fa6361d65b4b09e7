"""How fast a job is, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 15.0  # seconds whose rows count for the rate
_STEP = 0.25  # seconds between two points that are kept
_WARM_UP = 1.0  # seconds before a rate is known


class Pace:
    """The rate of rows, over the last seconds.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque()

    def report(self, done: int) -> None:
        """Record that `done` rows are done."""
        now = self._clock()
        if not self._points or now - self._points[-1][0] >= _STEP:
            self._points.append((now, done))
        while len(self._points) > 2 and self._points[1][0] < now - WINDOW:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """Rows per second; None if it is not known yet, or no row was done lately."""
        if not self._points:
            return None
        (start, before), (_, after) = self._points[0], self._points[-1]
        elapsed = self._clock() - start  # a pause makes the rate smaller
        return (after - before) / elapsed if elapsed >= _WARM_UP and after > before else None

    def text(self, done: int, total: int) -> str:
        """The rate and the time that is left, as the end of a sentence; empty if they are not known."""
        rate = self.rate
        if rate is None or done > total:
            return ""
        rows = f"{rate:,.0f} rows a second" if rate >= 1 else f"{60 * rate:,.0f} rows a minute"
        return f"{rows}, {format_duration((total - done) / rate)} left"


def format_duration(seconds: float) -> str:
    """A duration in rounded seconds, minutes or hours."""
    if seconds < 1.5:
        return "1 second"
    if seconds < 90:
        rounded = round(seconds) if seconds < 20 else 5 * round(seconds / 5)
        return f"{rounded} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
