"""CPU cores that a process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Number of cores that this process may run on; all cores of the machine if the system does not report it."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
