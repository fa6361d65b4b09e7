"""What the reader makes of a pickle: plain data, tensors, and inert records.

A pickle is a program that names classes and functions and calls them. The reader runs none of it: a name
becomes a `Global`, a call becomes a `Record` that keeps what would have been called with what.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names. It was not looked up or imported."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """Dotted path, with old spellings renamed to today's.

        Python 2's ``__builtin__`` is ``builtins``, numpy 1's ``numpy.core`` is ``numpy._core``.
        """
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
        parts = self._dicts()
        return parts[0] if len(parts) == 1 else {name: value for part in parts for name, value in part.items()}

    def get(self, name: str, default: Any = None) -> Any:
        """Attribute `name`, or `default`."""
        return next((part[name] for part in reversed(self._dicts()) if name in part), default)

    def _dicts(self) -> list[dict[str, Any]]:
        state = self.state
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        return [part for part in parts if isinstance(part, dict)]

    def __repr__(self) -> str:
        return f"<Record of {self.path}>"


_CLASS_MAKERS = ("_make_skeleton_class", "_make_skeleton_enum")
_FUNCTION_MAKERS = ("_make_function",)
_FINDERS = ("subimport", "_builtin_type")
_DEEPEST = 8  # callees within callees; a hostile file nests more, nobody else does


def path_of(thing: Any) -> str:
    """Dotted path of a `Global`, of a class or function that cloudpickle wrote out, or of a bound method.

    Things defined in a notebook are named with their module where the pickle tells it (``__main__.get_y``).
    An instance has the path of its class. Never raises; what it can't name is ``?``.
    """
    attributes = ""
    for _ in range(_DEEPEST):
        if isinstance(thing, Global):
            return thing.path + attributes
        if not isinstance(thing, Record):
            break
        maker = _cloudpickle_maker(thing)
        if maker in _CLASS_MAKERS and len(thing.args) > 1:
            return f"{_told(thing, '__module__', '__main__')}.{_short(thing.args[1])}{attributes}"
        if maker in _FUNCTION_MAKERS:
            return f"{_told(thing, '__module__', '__main__')}.{_told(thing, '__qualname__', '<lambda>')}{attributes}"
        if maker == "_builtin_type":
            return f"types.{_interpreter_type(thing)}{attributes}"
        if maker == "subimport" and len(thing.args) == 1:
            return f"{_short(thing.args[0])}{attributes}"
        if isinstance(thing.callee, Record) and _interpreter_type(thing.callee) == "MethodType" and thing.args:
            thing = thing.args[0]
        elif _is_getattr(thing):
            attributes = f".{_short(thing.args[1])}{attributes}"
            thing = thing.args[0]
        else:
            thing = thing.callee
    return f"?{attributes}"


def bases_of(thing: Any) -> tuple[Any, ...]:
    """The bases of a class that cloudpickle wrote out, or of the class of an instance; else empty.

    Only such classes tell their bases: those of a `Global` are in its module, which is not read.
    """
    cls = thing.callee if isinstance(thing, Record) and _cloudpickle_maker(thing) not in _CLASS_MAKERS else thing
    if isinstance(cls, Record) and _cloudpickle_maker(cls) in _CLASS_MAKERS:
        bases = cls.args[2 if _cloudpickle_maker(cls) == "_make_skeleton_class" else 0 :][:1]
        if bases and isinstance(bases[0], tuple):
            return bases[0]
    return ()


def is_written_out(thing: Any) -> bool:
    """Whether `thing` is a class or function that cloudpickle wrote into the file, bytecode included."""
    return isinstance(thing, Record) and _cloudpickle_maker(thing) in (*_CLASS_MAKERS, *_FUNCTION_MAKERS)


def is_function(thing: Any) -> bool:
    """Whether `thing` is a function that cloudpickle wrote into the file as bytecode."""
    return isinstance(thing, Record) and _cloudpickle_maker(thing) in _FUNCTION_MAKERS


def is_alias(thing: Any) -> bool:
    """Whether `thing` is something that exists outside the pickle, so that a change to it reaches further."""
    if isinstance(thing, Global):
        return True
    return isinstance(thing, Record) and (_is_getattr(thing) or _cloudpickle_maker(thing) in _FINDERS)


def _is_getattr(record: Record) -> bool:
    callee = record.callee
    return isinstance(callee, Global) and callee.path == "builtins.getattr" and len(record.args) > 1


def _cloudpickle_maker(record: Record) -> str:
    callee = record.callee
    return callee.name if isinstance(callee, Global) and callee.module == "cloudpickle.cloudpickle" else ""


def _interpreter_type(record: Record) -> str:
    """Name of a type that cloudpickle finds in Python's `types`: ``CodeType``, ``MethodType``."""
    found = _cloudpickle_maker(record) == "_builtin_type" and len(record.args) == 1
    return _short(record.args[0]) if found else ""


def _short(name: Any) -> str:
    return name[:200] if isinstance(name, str) else "?"


def _told(record: Record, key: str, default: str) -> str:
    """What the state that cloudpickle hangs on a class or function tells under `key`."""
    told = record.get(key)
    return _short(told) if isinstance(told, str) else default


def brief(thing: Any) -> str:
    """A few words about anything: the repr of what is nested, or of a long integer, can take for ever."""
    if isinstance(thing, str | bytes):
        return f"{thing[:60]!r}{'...' * (len(thing) > 60)}"
    if isinstance(thing, Global | Record):
        return f"{thing!r:.200}"
    if isinstance(thing, bool | float | None) or (isinstance(thing, int) and thing.bit_length() < 64):
        return repr(thing)
    if isinstance(thing, list | tuple | dict | set | frozenset):
        return f"<{type(thing).__name__} of {len(thing)}>"
    return f"<{type(thing).__name__}>"
