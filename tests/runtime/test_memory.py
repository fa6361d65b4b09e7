"""Freed memory returns to the operating system."""

from __future__ import annotations

import sys

import psutil
import pytest

from fastmar_runtime.memory import release_freed

BLOCK = 1000  # bytes: more than Python's own allocator handles
BLOCKS = 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_is_released() -> None:
    blocks = [bytes(BLOCK) for _ in range(BLOCKS)]
    last = blocks[-1]  # keeps the C library from releasing the memory below it by itself
    del blocks
    before = psutil.Process().memory_info().rss
    release_freed()
    assert psutil.Process().memory_info().rss < before - BLOCK * BLOCKS / 2
    assert len(last) == BLOCK
