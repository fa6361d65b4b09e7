"""Rebuilds plain Python values that pickles write as calls: collections, numbers, bytes, dates.

Each function replaces one callable of the standard library, and has its positional arguments. It builds the value if
all arguments are plain data, and otherwise raises `Inert`, so that the call stays a record. A `TypeError` or
`ValueError` means that the file is damaged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from .keys import Keys
from .limits import WALKED, Budget, limit_exceeded

Rebuild = Callable[..., Any]

_SIZED = (list, tuple, set, frozenset, dict)
_ITEM_BYTES, _ENTRY_BYTES = 16, 128
_CONTAINER = 64 + WALKED


class Inert(Exception):
    """A rebuilding function raises it for arguments that it can't rebuild a value from.

    The reader then keeps the call as an inert `Record`, which nothing runs.
    """


class PlainValues:
    """Rebuilds plain values within a budget; `table` has the functions by dotted path."""

    def __init__(self, budget: Budget, keys: Keys) -> None:
        self._budget, self._keys = budget, keys

    def table(self) -> dict[str, Rebuild]:
        """The rebuilding functions by the dotted path of the callable that they replace."""
        builtin: dict[str, Rebuild] = {
            "dict": self.mapping, "list": self.make_list, "tuple": self.make_tuple, "set": self.make_set,
            "frozenset": self.make_frozenset, "bytes": self.make_bytes, "bytearray": self.make_bytearray,
            "slice": _slice, "range": self.make_range, "int": _int, "float": _float, "complex": _complex,
            "bool": _bool, "str": _str,
        }  # fmt: skip
        return {
            **{f"builtins.{name}": rebuild for name, rebuild in builtin.items()},
            "collections.OrderedDict": self.mapping,
            "collections.Counter": self.mapping,
            "collections.defaultdict": self.defaultdict,
            "collections.deque": self.deque,
            "_codecs.encode": self.encode,
            "datetime.date": _date,
            "datetime.time": _time,
            "datetime.datetime": _datetime,
            "datetime.timedelta": _timedelta,
            "datetime.timezone": _timezone,
        }

    def _elements(self, source: Any, bytes_each: int = _ITEM_BYTES) -> Any:
        if type(source) not in _SIZED and type(source) is not range:
            raise Inert
        self._budget.spend(_CONTAINER + len(source) * bytes_each)
        return source

    def mapping(self, source: Any = (), /) -> dict[Any, Any]:
        """A dict, OrderedDict or Counter."""
        source = self._elements(source, _ENTRY_BYTES)
        if type(source) is dict:
            return dict(source)
        made = {}
        for pair in source:
            if type(pair) not in (tuple, list):
                raise Inert
            key, value = pair
            self._keys.check(key)
            made[key] = value
        return made

    def defaultdict(self, _factory: Any = None, source: Any = (), /) -> dict[Any, Any]:
        """A defaultdict as a dict, without its factory, which is code."""
        return self.mapping(source)

    def make_list(self, source: Any = (), /) -> list[Any]:
        """A list."""
        return list(self._elements(source))

    def make_tuple(self, source: Any = (), /) -> tuple[Any, ...]:
        """A tuple."""
        return tuple(self._elements(source))

    def make_set(self, source: Any = (), /) -> set[Any]:
        """A set."""
        return set(self._checked(source))

    def make_frozenset(self, source: Any = (), /) -> frozenset[Any]:
        """A frozenset."""
        return frozenset(self._checked(source))

    def _checked(self, source: Any) -> Iterator[Any]:
        for key in self._elements(source, _ENTRY_BYTES):
            self._keys.check(key)
            yield key

    def deque(self, source: Any = (), _maxlen: Any = None, /) -> list[Any]:
        """A deque as a list."""
        return self.make_list(source)

    def make_range(self, *bounds: Any) -> range:
        """A range of limited length."""
        if not all(type(bound) is int and bound.bit_length() < 63 for bound in bounds):
            raise Inert
        made = range(*bounds)
        if len(made) > self._budget.limits.range_items:
            raise limit_exceeded("the length of a range", f"{self._budget.limits.range_items:,} items")
        return made

    def make_bytes(self, source: Any = b"", encoding: str = "latin1", /) -> bytes:
        """Bytes from bytes, numbers or text."""
        if type(source) is str:
            return bytes(self.encode(source, encoding))
        if type(source) in (list, tuple):
            self._budget.spend(len(source))
            return bytes(source)
        if not isinstance(source, bytes | bytearray):
            raise Inert
        self._budget.spend(len(source))
        return bytes(source)

    def make_bytearray(self, source: Any = b"", encoding: str = "latin1", /) -> bytearray:
        """A bytearray from bytes, numbers, text or a length."""
        if type(source) is int:
            self._budget.spend(source)
            return bytearray(source)
        return bytearray(self.make_bytes(source, encoding))

    def encode(self, text: Any, encoding: Any = "utf-8", /) -> Any:
        """Bytes, which protocol 2 writes as text in latin-1."""
        if type(text) is not str or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
            raise Inert
        self._budget.spend(len(text))
        return text.encode(encoding)


def _slice(*bounds: Any) -> slice:
    return slice(*bounds)


def _scalar(value: Any) -> Any:
    if type(value) not in (int, float, bool, str) or (type(value) is str and len(value) > 400):
        raise Inert
    return value


def _int(value: Any = 0, /) -> int:
    return int(_scalar(value))


def _float(value: Any = 0.0, /) -> float:
    return float(_scalar(value))


def _complex(real: Any = 0, imag: Any = 0, /) -> complex:
    if type(real) not in (int, float) or type(imag) not in (int, float):
        raise Inert
    return complex(real, imag)


def _bool(value: Any = False, /) -> bool:
    return bool(_scalar(value))


def _str(value: Any = "", /) -> str:
    if type(value) is not str:
        raise Inert
    return value


def _dates(kind: Callable[..., Any], parts: tuple[Any, ...]) -> Any:
    # Pickles contain dates as packed bytes; Python 2 wrote these bytes as text.
    packed = tuple(part.encode("latin1") if type(part) is str else part for part in parts)
    if not all(type(part) in (bytes, int, float) or isinstance(part, dt.timedelta | dt.timezone) for part in packed):
        raise Inert
    return kind(*packed)


def _date(*parts: Any) -> Any:
    return _dates(dt.date, parts)


def _time(*parts: Any) -> Any:
    return _dates(dt.time, parts)


def _datetime(*parts: Any) -> Any:
    return _dates(dt.datetime, parts)


def _timedelta(*parts: Any) -> Any:
    return _dates(dt.timedelta, parts)


def _timezone(*parts: Any) -> Any:
    return _dates(dt.timezone, parts)
