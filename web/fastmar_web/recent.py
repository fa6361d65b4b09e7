"""A cache of what was read from the model server a few seconds ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")
MAX_VALUES = 100


class Recent(Generic[Value]):
    """Values by key. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[Hashable, tuple[float, Value]] = {}

    def get(self, key: Hashable, seconds: float, read: Callable[[], Value]) -> Value:
        """The value of `key`, from `read` if there is none that is less than `seconds` old."""
        cached = self._values.get(key)
        if cached and time.monotonic() - cached[0] < seconds:
            return cached[1]
        value = read()
        with self._lock:
            if len(self._values) >= MAX_VALUES:
                self._values.clear()
            self._values[key] = (time.monotonic(), value)
        return value

    def last(self, key: Hashable) -> Value | None:
        """The value of `key` that was read last, of any age; None if there is none."""
        cached = self._values.get(key)
        return cached[1] if cached else None
