"""Keys of dicts and sets: which are allowed, and how many may share a hash.

A dict or set compares keys of one hash one by one, so that n such keys take n * n comparisons. The hashes of numbers,
tuples, frozensets and durations can be computed by whoever writes the file. Those of text and bytes are randomised by
the interpreter, and those of records are their addresses.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import numpy as np
import torch

from .limits import Budget, too_much
from .records import Global, Record

_KEY_TYPES = (str, bytes, float, complex, bool, type(None), Global, Record, np.generic, dt.date, dt.time, dt.timedelta,
              dt.timezone, torch.Tensor, torch.dtype, torch.device)  # fmt: skip
_UNTRACKED = (bool, type(None), Global, Record, torch.dtype)
_MAX_PARTS = 100
_MODULUS = sys.hash_info.modulus
_ENTRY, _TRACKED, _PART = 100, 500, 60  # cost of an entry, of a key that is tracked, and of hashing one part of a tuple
_COMPARED = 4  # shift: long equal texts are compared byte by byte


class Keys:
    """Checks keys before they enter a dict or set, over a whole pickle."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._seen: set[Any] = set()
        self._of_hash: dict[int, int] = {}

    def check(self, key: Any) -> None:
        """Charge for one entry.

        Raises:
            ValueError, TypeError: no dict of a learner has such a key.
            HostileFile: too many different keys have its hash, or it has too many parts.
        """
        kind = type(key)
        if kind is str or kind is bytes:
            self._budget.spend(_ENTRY + (len(key) >> _COMPARED))
        elif kind in _UNTRACKED or (kind is int and -_MODULUS < key < _MODULUS):  # hashes differ, but for -1 and -2
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
            raise too_much("the keys of one hash", "keys", self._budget.limits.equal_hashes)
        self._budget.spend(_TRACKED)
        self._seen.add(key)
        self._of_hash[code] = equal + 1


def _parts(key: Any) -> int:
    """What hashing and comparing `key` visits.

    Hashing visits each element of a tuple as often as it occurs: 60 bytes of pickle make a tuple that takes years, and
    a deep one overflows the interpreter's stack.
    """
    pending, count = [key], 0
    while pending:
        part = pending.pop()
        count += 1
        if type(part) in (tuple, frozenset):
            if len(part) + len(pending) + count > _MAX_PARTS:
                raise too_much("the tuples in one key of a dict or set", "elements", _MAX_PARTS)
            pending.extend(part)
        elif type(part) is int:
            if part.bit_length() > 64:
                raise ValueError("an integer of more than 64 bits is a key of a dict or set")
        elif not isinstance(part, _KEY_TYPES):
            raise TypeError(f"a {type(part).__name__} is a key of a dict or set")
        elif isinstance(part, str | bytes):
            count += len(part) >> 10
    return count
