"""Memory of a worker's process."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def release_freed() -> None:
    """Return memory that was freed to the operating system, where the C library can.

    Loading a model needs several times the memory of its weights, and glibc keeps most of what is freed afterwards.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
