"""Signals that stop a server, or a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Events that signals set: the first signal requests a stop, the second one ends the drain at once."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.hurry = threading.Event()

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Set an event; a signal handler can't safely do more."""
        (self.hurry if self.requested.is_set() else self.requested).set()


def describe_status(status: int) -> str:
    """How a process ended, from its exit status as `subprocess` gives it: negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-status}"


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """SIGTERM, SIGINT and SIGHUP set events while the block runs."""
    stop = Stop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, stop.on_signal) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C: raise KeyboardInterrupt, so that unfinished work is undone."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
