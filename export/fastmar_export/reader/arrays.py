"""Rebuilds numpy arrays, scalars and dtypes of a pickle, without letting numpy run what the pickle names.

Numbers, text, bytes and dates become numpy objects. Arrays of objects contain the reader's objects. Structured dtypes,
and array classes other than `numpy.ndarray`, stay records.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sized
from typing import Any, cast

import numpy as np

from ..errors import UnreadableFile
from .limits import Budget
from .plain import Inert, Rebuild
from .records import Global, brief

_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[SU]\d{1,9}|[mM]8|O8?)")
_UNIT = re.compile(r"[YMWDhms]|ms|us|ns|ps|fs|as|generic")
_MAX_DIMS = 32
_ARRAY = 600  # cost of an array or scalar object without its data


class Arrays:
    """Rebuilds numpy objects within a budget; `table` has the functions by dotted path."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def table(self) -> dict[str, Rebuild]:
        """The rebuilding functions by the dotted path of the callable that they replace."""
        return {
            "numpy.dtype": _dtype,
            "numpy._core.multiarray._reconstruct": _empty_array,
            "numpy._core.multiarray.scalar": self.scalar,
            "numpy._core.numeric._frombuffer": self.from_buffer,
        }

    def scalar(self, dtype: Any, raw: Any, /) -> Any:
        """A numpy scalar; for the object dtype, the object itself."""
        if not isinstance(dtype, np.dtype):
            raise Inert
        if dtype.hasobject:
            return raw
        return np.frombuffer(self._raw(raw, dtype), dtype, count=1)[0]

    def from_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, /) -> np.ndarray[Any, Any]:
        """An array in the form of protocol 5."""
        if not isinstance(dtype, np.dtype) or dtype.hasobject or order not in ("C", "F"):
            raise Inert
        data = self._raw(raw, dtype, _count(shape))
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)

    def fill(self, array: np.ndarray[Any, Any], state: Any) -> None:
        """Set the shape, dtype and data of `array`, made by `_reconstruct`, from its state."""
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, np.dtype):
            raise UnreadableFile(
                f"the learner contains an array of {brief(dtype)}, a dtype that fastmar can't read.",
                fix="remove arrays with fields from the learner, and export it again.",
                code="unsupported_dtype",
            )
        count = _count(shape)
        if dtype.hasobject:
            if type(data) is not list or len(data) != count:
                raise ValueError(f"an array needs a list of {count} objects, and its data is {_measure(data)}")
            self._budget.spend(_ARRAY + 8 * count)
        else:
            data = bytes(self._raw(data, dtype, count))
        cast(Any, array).__setstate__((1, shape, dtype, bool(fortran), data))

    def _raw(self, raw: Any, dtype: np.dtype[Any], count: int = 1) -> bytes | bytearray:
        nbytes = count * dtype.itemsize
        if type(raw) is str:  # Python 2 wrote bytes as text
            raw = raw.encode("latin1")
        if not isinstance(raw, bytes | bytearray) or len(raw) != nbytes:
            raise ValueError(f"an array needs {nbytes} bytes, and its data is {_measure(raw)}")
        self._budget.spend(_ARRAY + nbytes)
        if dtype.kind == "U" and nbytes and np.frombuffer(raw, dtype.str[0] + "u4").max() > sys.maxunicode:
            raise ValueError("an array of text has an invalid code point")
        return raw


def _measure(data: Any) -> str:
    """Type and length of an array's data, for a message."""
    return f"a {type(data).__name__}" + (f" of length {len(data)}" if isinstance(data, Sized) else "")


def _count(shape: Any) -> int:
    if type(shape) is not tuple or len(shape) > _MAX_DIMS:
        raise TypeError("an array has no valid shape")
    count, extent = 1, 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise ValueError(f"an array has the invalid size {brief(size)}")
        count *= size
        extent *= size or 1  # numpy computes strides of empty arrays too
        if extent >= 1 << 48:
            raise ValueError("an array is larger than any memory")
    return count


def _dtype(code: Any, align: Any = False, copy: Any = False, /) -> np.dtype[Any]:  # noqa: ARG001
    if type(code) is not str or not _DTYPE.fullmatch(code):
        raise Inert
    return np.dtype(code, False, True)  # a copy, because its state sets the byte order later


def set_dtype_state(dtype: np.dtype[Any], state: Any) -> None:
    """Apply the byte order, and the unit of dates, in the form of `dtype.__reduce__`."""
    if type(state) is not tuple or len(state) < 8:
        raise TypeError("a dtype has no valid state")
    order, subdtype, names, fields = state[1:5]
    if order not in ("<", ">", "|", "=") or subdtype is not None or names is not None or fields is not None:
        raise ValueError(f"a dtype of kind {dtype.kind} has fields")
    restore = cast(Any, dtype).__setstate__
    size, alignment = (dtype.itemsize, dtype.alignment) if dtype.kind in "SU" else (-1, -1)
    if dtype.kind not in "mM":
        restore((3, order, None, None, None, size, alignment, dtype.flags))
        return
    (unit, *counts) = state[8][-1]
    unit = unit.decode("ascii") if type(unit) is bytes else unit
    if type(unit) is not str or not _UNIT.fullmatch(unit) or not all(type(n) is int and 0 < n < 2**31 for n in counts):
        raise ValueError("a dtype of dates has no unit")
    restore((4, order, None, None, None, -1, -1, dtype.flags, ({}, (unit.encode("ascii"), *counts))))


def _empty_array(cls: Any, shape: Any, _code: Any, /) -> np.ndarray[Any, Any]:
    if cls != Global("numpy", "ndarray") or shape != (0,):
        raise Inert
    return np.empty((0,), np.int8)
