"""Values of callers in messages and warnings, cut to a size that can't be abused."""

from __future__ import annotations

from typing import Any

_SHOWN = 80  # characters of a user's value that a message repeats
_SENT = 1000  # characters of it that a warning carries back


def shown(value: Any) -> str:
    """`value` for a message: its repr, cut to a length that fits a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists in lists in lists
        text = f"{type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def sendable(value: Any) -> Any:
    """A user's string or number as JSON can carry it back: Python's own JSON reader lets more in than that.

    Half characters become question marks, an integer of more than 64 bits is cut text, and long text is cut, so that an
    answer can't be blown up from outside.
    """
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        return text if len(text) <= _SENT else f"{text[:_SENT]}..."
    if isinstance(value, int) and value.bit_length() >= 64:
        return shown(value)
    return value
