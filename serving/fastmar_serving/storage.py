"""Fixes for a full disk, and for files that the server can't read."""

from __future__ import annotations

import errno
import getpass
import os
import shutil
from contextlib import suppress
from pathlib import Path

FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))  # in messages of Python and of Java
MIN_SPACE = 1 << 20  # bytes
SPACE_FIX = (
    "free space in the run directory (--run-dir, by default in TMPDIR), or give one on a larger disk; "
    "with Compose raise FASTMAR_UNPACKED."
)


def is_full(reason: object) -> bool:
    """Whether an error, or its message, says that a disk is full."""
    return any(text in str(reason) for text in FULL)


def has_space(folder: Path) -> bool:
    """Whether there is space for the libraries that Java unpacks; without it, its errors do not name the disk."""
    return shutil.disk_usage(folder).free >= MIN_SPACE


def permission_fix(path: Path) -> str:
    """The fix for a file that the server can't read. Names the user that it runs as."""
    user = ""
    if hasattr(os, "getuid"):
        user = f" for uid {os.getuid()}"
        with suppress(Exception):  # the user of a container may have no name
            user += f" ({getpass.getuser()})"
    return f"make it and its folder readable{user}, the user of the server: chmod a+r {path}."
