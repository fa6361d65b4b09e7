"""A machine for pickles: stack, memo and place in the pickle. What names and calls mean is left to a subclass."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Any

from .limits import Limits


class PickleMachine(ABC):
    """One pickle and how far it has been read; `opcodes.run` runs it.

    Attributes:
        protocol: the pickle's protocol; 0 where it does not say.
    """

    def __init__(self, pickled: bytes, limits: Limits) -> None:
        self.data, self.at = pickled, 0
        self.limits = limits
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each open MARK
        self.memo: dict[int, Any] = {}
        self.protocol = 0

    @abstractmethod
    def name(self, module: str, name: str) -> Any:
        """What a name stands for."""

    @abstractmethod
    def call(self, callee: Any, args: Any, kwargs: Any = None, *, is_instance: bool = False) -> Any:
        """What a call makes, or ``cls.__new__`` where `is_instance`."""

    @abstractmethod
    def persistent(self, pid: Any) -> Any:
        """What a persistent id stands for."""

    @abstractmethod
    def build(self, target: Any, state: Any) -> None:
        """Give an object its state."""

    @abstractmethod
    def append(self, target: Any, items: list[Any]) -> None:
        """Lengthen a list."""

    @abstractmethod
    def set_items(self, target: Any, flat: list[Any]) -> None:
        """Put keys and values, which stand one after another, into a dict."""

    @abstractmethod
    def add_items(self, target: Any, items: list[Any]) -> None:
        """Put items into a set."""

    @abstractmethod
    def freeze(self, items: list[Any]) -> Any:
        """A frozenset of items."""

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, end = self.at, self.at + count
        if count < 0 or end > len(self.data):
            raise IndexError("the pickle ends in the middle of a value")
        self.at = end
        return self.data[start:end]

    def line(self) -> bytes:
        """The next line, without its end."""
        end = self.data.index(b"\n", self.at)
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def unpack(self, kind: struct.Struct) -> Any:
        """The next number."""
        return kind.unpack(self.take(kind.size))[0]

    def pop_mark(self) -> list[Any]:
        """Everything above the latest MARK."""
        items = self.stack
        self.stack = self.outer.pop()
        return items
