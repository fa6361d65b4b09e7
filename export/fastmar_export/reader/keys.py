"""Checks keys of dicts and sets: their types, and the number of keys with equal hashes.

A dict or set compares keys of equal hash one by one, so n such keys need n * n comparisons. An attacker can compute
hashes of numbers, tuples, frozensets and durations. Hashes of text and bytes are randomised by the interpreter, and
those of records are addresses.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import numpy as np
import torch

from .limits import Budget, limit_exceeded
from .records import Global, Record

_KEY_TYPES = (str, bytes, float, complex, bool, type(None), Global, Record, np.generic, dt.date, dt.time, dt.timedelta,
              dt.timezone, torch.Tensor, torch.dtype, torch.device)  # fmt: skip
_UNTRACKED = (bool, type(None), Global, Record, torch.dtype)
_MAX_PARTS = 100
_MODULUS = sys.hash_info.modulus
_ENTRY, _TRACKED, _PART = 100, 500, 60  # cost of an entry, of tracking a key, and of hashing one part of a tuple
_COMPARED = 4  # shift for the cost of comparing equal texts byte by byte


class Keys:
    """Checks all keys of a pickle before they are added to a dict or set."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._seen: set[Any] = set()
        self._of_hash: dict[int, int] = {}

    def check(self, key: Any) -> None:
        """Check `key`, and charge the budget for one entry.

        Raises:
            ValueError, TypeError: the type or value is not allowed for a key.
            HostileFile: too many different keys have the same hash, or the key has too many parts.
        """
        kind = type(key)
        if kind is str or kind is bytes:
            self._budget.spend(_ENTRY + (len(key) >> _COMPARED))
        elif kind in _UNTRACKED or (kind is int and -_MODULUS < key < _MODULUS):  # distinct hashes, except of -1 and -2
            self._budget.spend(_ENTRY)
        else:
            self._track(key, _parts(key))

    def _track(self, key: Any, parts: int) -> None:
        code = hash(key)
        equal = self._of_hash.get(code, 0)
        self._budget.spend(_ENTRY + _PART * parts * (equal + 1))
        if key in self._seen:
            return
        if equal >= self._budget.limits.equal_hashes:
            raise limit_exceeded(
                "the number of keys with one hash",
                f"{self._budget.limits.equal_hashes:,} keys",
                code="too_many_equal_hashes",
            )
        self._budget.spend(_TRACKED)
        self._seen.add(key)
        self._of_hash[code] = equal + 1


def _parts(key: Any) -> int:
    """The number of objects that hashing and comparing `key` visits.

    Hashing visits each element of a tuple as often as it occurs: 60 bytes of pickle can make a tuple whose hash takes
    years, and deep nesting overflows the interpreter's stack.
    """
    pending, count = [key], 0
    while pending:
        part = pending.pop()
        count += 1
        if type(part) in (tuple, frozenset):
            if len(part) + len(pending) + count > _MAX_PARTS:
                raise limit_exceeded("the size of the tuples in one key of a dict or set", f"{_MAX_PARTS} elements")
            pending.extend(part)
        elif type(part) is int:
            if part.bit_length() > 64:
                raise ValueError("an integer of more than 64 bits is a key of a dict or set")
        elif not isinstance(part, _KEY_TYPES):
            raise TypeError(f"a {type(part).__name__} is a key of a dict or set")
        elif isinstance(part, str | bytes):
            count += len(part) >> 10
    return count
