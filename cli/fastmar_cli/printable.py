"""Text out of files that somebody else made, for a terminal."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"
# Control characters, and those that turn the direction of text or can't be seen: they could rewrite what stands before.
_ESCAPED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def printable(text: str) -> str:
    """`text` with every character escaped that a terminal would obey rather than show."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _KEPT or unicodedata.category(c) not in _ESCAPED else c.encode("unicode_escape").decode()
        for c in text
    )
