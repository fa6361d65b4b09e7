"""numpy arrays, scalars and dtypes out of a pickle, without letting numpy unpickle anything.

Numbers, text, bytes and dates come out as real numpy objects. Arrays of objects hold whatever the reader made of their
elements. Structured dtypes, and every array class but `numpy.ndarray`, stay records.
"""

from __future__ import annotations

import re
import sys
from typing import Any, cast

import numpy as np

from ..errors import UnreadableFile
from .limits import Budget
from .plain import Inert, Rebuild
from .records import Global, brief

_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[SU]\d{1,9}|[mM]8|O8?)")
_UNIT = re.compile(r"[YMWDhms]|ms|us|ns|ps|fs|as|generic")
_MAX_DIMS = 32
_ARRAY = 600  # cost of an array's or a scalar's object beside its data


class Arrays:
    """Rebuilds numpy's objects within a budget; `table` names them by their dotted path."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def table(self) -> dict[str, Rebuild]:
        """Dotted path to function, for every callable that is known here."""
        return {
            "numpy.dtype": _dtype,
            "numpy._core.multiarray._reconstruct": _empty_array,
            "numpy._core.multiarray.scalar": self.scalar,
            "numpy._core.numeric._frombuffer": self.from_buffer,
        }

    def scalar(self, dtype: Any, raw: Any, /) -> Any:
        """One numpy scalar; for the object dtype, the object itself."""
        if not isinstance(dtype, np.dtype):
            raise Inert
        if dtype.hasobject:
            return raw
        return np.frombuffer(self._raw(raw, dtype), dtype, count=1)[0]

    def from_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, /) -> np.ndarray[Any, Any]:
        """An array as protocol 5 writes it."""
        if not isinstance(dtype, np.dtype) or dtype.hasobject or order not in ("C", "F"):
            raise Inert
        data = self._raw(raw, dtype, _count(shape))
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)

    def fill(self, array: np.ndarray[Any, Any], state: Any) -> None:
        """Give `array`, made by `_reconstruct`, the shape, dtype and data of its state."""
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, np.dtype):
            raise UnreadableFile(
                f"the learner holds an array of {brief(dtype)}, a dtype that fastmar can't read.",
                fix="take arrays with fields off the learner, and export it again.",
            )
        count = _count(shape)
        if dtype.hasobject:
            if type(data) is not list or len(data) != count:
                raise ValueError(f"an array of {count} objects has other data than that")
            self._budget.spend(_ARRAY + 8 * count)
        else:
            data = bytes(self._raw(data, dtype, count))
        cast(Any, array).__setstate__((1, shape, dtype, bool(fortran), data))

    def _raw(self, raw: Any, dtype: np.dtype[Any], count: int = 1) -> bytes | bytearray:
        nbytes = count * dtype.itemsize
        if type(raw) is str:  # Python 2 wrote bytes as text
            raw = raw.encode("latin1")
        if not isinstance(raw, bytes | bytearray) or len(raw) != nbytes:
            raise ValueError(f"an array of {nbytes} bytes has other data than that")
        self._budget.spend(_ARRAY + nbytes)
        if dtype.kind == "U" and nbytes and np.frombuffer(raw, dtype.str[0] + "u4").max() > sys.maxunicode:
            raise ValueError("an array of text has a character that there is not")
        return raw


def _count(shape: Any) -> int:
    if type(shape) is not tuple or len(shape) > _MAX_DIMS:
        raise TypeError("an array has no shape")
    count, extent = 1, 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise ValueError(f"an array has {brief(size)} for a size")
        count *= size
        extent *= size or 1  # numpy computes strides of empty arrays too
        if extent >= 1 << 48:
            raise ValueError("an array has more elements than memory has bytes")
    return count


def _dtype(code: Any, align: Any = False, copy: Any = False, /) -> np.dtype[Any]:  # noqa: ARG001
    if type(code) is not str or not _DTYPE.fullmatch(code):
        raise Inert
    return np.dtype(code, False, True)  # a copy of its own: its byte order comes later, in its state


def set_dtype_state(dtype: np.dtype[Any], state: Any) -> None:
    """Apply byte order, and the unit of dates, as `dtype.__reduce__` writes them."""
    if type(state) is not tuple or len(state) < 8:
        raise TypeError("a dtype has no state")
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
