"""What the reader makes of a pickle: plain data, tensors, and inert records.

A pickle is a program that names classes and functions and calls them. The reader runs none of it: a name
becomes a `Global`, a call becomes a `Record` that keeps what would have been called with what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names. It was not looked up or imported."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """Dotted path, with Python 2's and numpy 1's spellings renamed to today's: ``builtins.getattr``."""
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<{self.path}>"


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object that the pickle would have built, or the result of a call it would have made.

    Attributes:
        callee: what would have been called: a `Global`, or another `Record` (a class made by cloudpickle, a method).
        args: positional arguments.
        kwargs: keyword arguments.
        is_instance: True where the pickle asked for ``cls.__new__``; False where it asked for any other call.
        state: what ``__setstate__`` would have been given, or None.
        items: what ``append``/``extend``/``add`` would have been given.
        entries: key and value pairs that ``__setitem__`` would have been given.
        offset: byte in the pickle where the call stands, for messages.
    """

    callee: Global | Record
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    is_instance: bool = False
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: list[tuple[Any, Any]] = field(default_factory=list)
    offset: int = -1

    @property
    def path(self) -> str:
        """Dotted path of the class or function, also for classes and functions that cloudpickle wrote out."""
        return path_of(self.callee)

    @property
    def attrs(self) -> dict[str, Any]:
        """The instance's attributes as far as its state is a dict (or a pair of dict and slots); else empty."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:
            merged: dict[str, Any] = {}
            for part in state:
                if isinstance(part, dict):
                    merged.update(part)
            return merged
        return state if isinstance(state, dict) else {}

    def get(self, name: str, default: Any = None) -> Any:
        """Attribute `name`, or `default`."""
        return self.attrs.get(name, default)

    def __repr__(self) -> str:
        return f"<Record of {self.path}>"


_CLOUDPICKLE = ("cloudpickle.cloudpickle.", "cloudpickle.cloudpickle_fast.")


def path_of(thing: Any) -> str:
    """Dotted path of a `Global`, of a class or function that cloudpickle wrote out, or of a bound method.

    Things defined in a notebook are named with their module where the pickle tells it (``__main__.get_y``).
    Never raises; what it can't name is ``?``.
    """
    for _ in range(32):  # a hostile file can nest callees; nobody needs more than a few
        if isinstance(thing, Global):
            return thing.path
        if not isinstance(thing, Record):
            return "?"
        made_by = thing.callee
        if isinstance(made_by, Global) and made_by.path.startswith(_CLOUDPICKLE):
            maker = made_by.name
            if maker in ("_make_skeleton_class", "_make_skeleton_enum") and len(thing.args) > 1:
                return f"{_module_of(thing)}.{thing.args[1]}"
            if maker in ("_make_function", "_builtin_type"):
                return f"{_module_of(thing)}.{_function_name(thing)}" if maker == "_make_function" else made_by.path
        if isinstance(made_by, Global) and made_by.path == "builtins.getattr" and len(thing.args) > 1:
            owner = thing.args[0]
            return f"{path_of(owner)}.{thing.args[1]}"
        thing = made_by
    return "?"


def _states(record: Record) -> Iterator[dict[str, Any]]:
    state = record.state
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, dict):
            yield part


def _module_of(record: Record) -> str:
    for state in _states(record):
        for key in ("__module__", "__name__"):
            if key == "__module__" and isinstance(state.get(key), str):
                return str(state[key])
    return "__main__"


def _function_name(record: Record) -> str:
    for state in _states(record):
        for key in ("__qualname__", "__name__"):
            if isinstance(state.get(key), str):
                return str(state[key])
    return "<lambda>"
