"""Keeps the memory of a run over files constant."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def share_heap() -> None:
    """Let all threads of this process allocate from one heap.

    Call it before Arrow is imported. Each thread would have a heap of its own in the C library, and Arrow another one.
    A run passes its rows from thread to thread, so that all of these heaps would grow as it goes on.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not glibc
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
