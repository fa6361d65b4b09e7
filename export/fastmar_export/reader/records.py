"""Records: the reader's representation of the objects in a pickle.

A pickle is a program that names classes and functions and calls them. The reader does not run it: a name becomes a
`Global`, and a call becomes a `Record` with the callee and the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names; it is not imported."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """Dotted path, with old module names replaced by current ones.

        Python 2's ``__builtin__`` becomes ``builtins``, and numpy 1's ``numpy.core`` becomes ``numpy._core``.
        """
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<{self.path}>"


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object that unpickling would build: an instance, or the result of a call.

    Attributes:
        callee: the called object: a `Global`, or another `Record` (a class made by cloudpickle, a method).
        args: positional arguments.
        kwargs: keyword arguments.
        is_instance: True for ``cls.__new__``, False for any other call.
        state: argument of ``__setstate__``, or None.
        items: arguments of ``append``, ``extend`` and ``add``.
        entries: keys and values for ``__setitem__``.
        offset: position of the call in the pickle in bytes, for messages.
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
        """Dotted path of the class or function, including those pickled by value."""
        return path_of(self.callee)

    @property
    def attrs(self) -> dict[str, Any]:
        """The instance's attributes if its state is a dict, or a pair of a dict and slots; else empty."""
        parts = self._dicts()
        return parts[0] if len(parts) == 1 else {name: value for part in parts for name, value in part.items()}

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute `name`, or `default`."""
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
_MAX_DEPTH = 8  # nesting of callees; only a hostile file has more


def path_of(thing: Any) -> str:
    """Dotted path of a `Global`, of a class or function pickled by value, or of a bound method.

    Objects defined in a notebook have the path of their module if it is known (``__main__.get_y``). An instance has the
    path of its class. Never raises; the path is ``?`` if it is unknown.
    """
    attributes = ""
    for _ in range(_MAX_DEPTH):
        if isinstance(thing, Global):
            return thing.path + attributes
        if not isinstance(thing, Record):
            break
        maker = _cloudpickle_maker(thing)
        if maker in _CLASS_MAKERS and len(thing.args) > 1:
            return f"{_text_of(thing, '__module__', '__main__')}.{_short(thing.args[1])}{attributes}"
        if maker in _FUNCTION_MAKERS:
            module, name = _text_of(thing, "__module__", "__main__"), _text_of(thing, "__qualname__", "<lambda>")
            return f"{module}.{name}{attributes}"
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
    """The bases of a class that is pickled by value, or of an instance's class; else empty.

    The bases of a `Global` are unknown, because its module is not imported.
    """
    cls = thing.callee if isinstance(thing, Record) and _cloudpickle_maker(thing) not in _CLASS_MAKERS else thing
    if isinstance(cls, Record) and _cloudpickle_maker(cls) in _CLASS_MAKERS:
        bases = cls.args[2 if _cloudpickle_maker(cls) == "_make_skeleton_class" else 0 :][:1]
        if bases and isinstance(bases[0], tuple):
            return bases[0]
    return ()


def is_pickled_by_value(thing: Any) -> bool:
    """Whether `thing` is a class or function that cloudpickle pickled by value, with its bytecode."""
    return isinstance(thing, Record) and _cloudpickle_maker(thing) in (*_CLASS_MAKERS, *_FUNCTION_MAKERS)


def is_function(thing: Any) -> bool:
    """Whether `thing` is a function that cloudpickle pickled by value."""
    return isinstance(thing, Record) and _cloudpickle_maker(thing) in _FUNCTION_MAKERS


def is_alias(thing: Any) -> bool:
    """Whether `thing` refers to an object outside the pickle, such as a module, which a change would affect."""
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
    """Name of a type that cloudpickle looks up in the module `types`: ``CodeType``, ``MethodType``."""
    found = _cloudpickle_maker(record) == "_builtin_type" and len(record.args) == 1
    return _short(record.args[0]) if found else ""


def _short(name: Any) -> str:
    return name[:200] if isinstance(name, str) else "?"


def _text_of(record: Record, key: str, default: str) -> str:
    """The text under `key` in the state of a class or function pickled by value, or `default`."""
    value = record.get(key)
    return _short(value) if isinstance(value, str) else default


def brief(thing: Any) -> str:
    """A short text for any object; the repr of a nested object or a large integer could take forever."""
    if isinstance(thing, str | bytes):
        return f"{thing[:60]!r}{'...' * (len(thing) > 60)}"
    if isinstance(thing, Global | Record):
        return f"{thing!r:.200}"
    if isinstance(thing, bool | float | None) or (isinstance(thing, int) and thing.bit_length() < 64):
        return repr(thing)
    if isinstance(thing, list | tuple | dict | set | frozenset):
        return f"<{type(thing).__name__} of {len(thing)}>"
    return f"<{type(thing).__name__}>"
