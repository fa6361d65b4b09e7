"""Values and texts of others in messages: cut to a size that can't be abused, and without control characters."""

from __future__ import annotations

import unicodedata
from typing import Any

_SHOWN = 80  # characters of a user's value that a message repeats
_SENT = 1000  # characters of it that a warning carries back
_KEPT = "\n\t"
# Control characters, and those that turn the direction of text or can't be seen: they could rewrite what stands before.
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def short_repr(value: Any) -> str:
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
        return short_repr(value)
    return value


def printable(text: str) -> str:
    """`text` with every character escaped that a terminal would obey rather than show."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _KEPT or unicodedata.category(c) not in _ESCAPED else c.encode("unicode_escape").decode()
        for c in text
    )
