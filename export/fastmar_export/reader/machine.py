"""The pickle machine: stack, memo and position in the pickle. Subclasses define the results of names and calls."""

from __future__ import annotations

import struct
import sys
from abc import ABC, abstractmethod
from typing import Any

from .limits import WALKED, Budget

_MEMO_ENTRY = 120  # cost of a dict entry with an integer key


class Memo:
    """The memoized objects by number. Pickles use numbers from 0 without gaps, so nearly all are in a list."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._listed: list[Any] = []
        self._others: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._listed) + len(self._others)

    def __getitem__(self, index: int) -> Any:
        return self._listed[index] if 0 <= index < len(self._listed) else self._others[index]

    def __setitem__(self, index: int, value: Any) -> None:
        if index == len(self._listed) and not self._others:
            self._listed.append(value)
        elif 0 <= index < len(self._listed):
            self._listed[index] = value
        else:
            self._budget.spend(_MEMO_ENTRY)
            self._others[index] = value


class PickleMachine(ABC):
    """The state of interpreting one pickle; `opcodes.run` runs its opcodes.

    Attributes:
        protocol: the pickle's protocol; 0 if it is not specified.
        budget: allowed cost of building objects.
    """

    def __init__(self, pickled: bytes, budget: Budget) -> None:
        self.data, self.at = pickled, 0
        self.budget, self.limits = budget, budget.limits
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each open MARK
        self.memo = Memo(budget)
        self.protocol = 0

    @abstractmethod
    def name(self, module: str, name: str) -> Any:
        """The object for a name."""

    @abstractmethod
    def call(self, callee: Any, args: Any, kwargs: Any = None, *, is_instance: bool = False) -> Any:
        """The result of a call, or of ``cls.__new__`` if `is_instance`."""

    @abstractmethod
    def persistent(self, pid: Any) -> Any:
        """The object for a persistent id."""

    @abstractmethod
    def build(self, target: Any, state: Any) -> None:
        """Set the state of an object."""

    @abstractmethod
    def append(self, target: Any, items: list[Any]) -> None:
        """Extend a list."""

    @abstractmethod
    def set_items(self, target: Any, flat: list[Any]) -> None:
        """Add alternating keys and values to a dict."""

    @abstractmethod
    def add_items(self, target: Any, items: list[Any]) -> None:
        """Add items to a set."""

    @abstractmethod
    def freeze(self, items: list[Any]) -> Any:
        """A frozenset of items."""

    def push(self, value: Any) -> None:
        """Push a new value, and charge its memory."""
        self.budget.spend(sys.getsizeof(value))
        self.stack.append(value)

    def push_container(self, value: Any) -> None:
        """Push a new container, and charge its memory and the cost of walking it."""
        self.budget.spend(sys.getsizeof(value) + WALKED)
        self.stack.append(value)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, end = self.at, self.at + count
        if count < 0 or end > len(self.data):
            raise IndexError("the pickle ends in the middle of a value")
        self.at = end
        return self.data[start:end]

    def byte(self) -> int:
        """The next byte, as a number."""
        value = self.data[self.at]
        self.at += 1
        return value

    def line(self) -> bytes:
        """The next line, without the newline."""
        end = self.data.index(b"\n", self.at)
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def unpack(self, kind: struct.Struct) -> Any:
        """The next number."""
        return kind.unpack(self.take(kind.size))[0]

    def pop_mark(self) -> list[Any]:
        """Pop everything above the last MARK."""
        items = self.stack
        self.stack = self.outer.pop()
        return items
