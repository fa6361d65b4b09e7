"""Users' values and texts in messages: cut to a bounded length, without control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_MAX_REPR = 80  # characters of a user's value in a message
_MAX_RETURNED = 1000  # characters of a user's value in a warning
_JSON = {"None": "null", "True": "true", "False": "false"}  # constants by their names in Python
_NOT_ESCAPED = "\n\t"
# Control characters, and characters that are invisible or change the text direction: they can disguise other text.
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def short_repr(value: Any) -> str:
    """The repr of `value`, cut to a length that fits a line; null, true and false have their names in JSON."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, deeply nested lists
        text = f"{type(value).__name__} that is too large to show"
    text = _JSON.get(text, text)
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}... ({len(text):,} characters)"


def json_safe(value: Any) -> Any:
    """A user's string or number as JSON can represent it; Python's own JSON parser accepts more.

    Unpaired surrogates become question marks, integers over 64 bits become text, and long text is cut, so that a
    request can't blow up its answer.
    """
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        return text if len(text) <= _MAX_RETURNED else f"{text[:_MAX_RETURNED]}..."
    if isinstance(value, int) and value.bit_length() >= 64:
        return short_repr(value)
    return value


def printable(text: str) -> str:
    """`text` with each character escaped that a terminal would interpret rather than show."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _NOT_ESCAPED or unicodedata.category(c) not in _ESCAPED else c.encode("unicode_escape").decode()
        for c in text
    )


def humanize(name: str) -> str:
    """A column's name as a title: "marital-status" and "maritalStatus" become "Marital status"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    words = re.sub(r"[\s_\-.]+", " ", words).strip()
    return words[:1].upper() + words[1:] if words else name
