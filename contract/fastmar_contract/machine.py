"""What a process may use of the machine."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """The cores that this process may run on, where the system says so; else those of the machine."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
