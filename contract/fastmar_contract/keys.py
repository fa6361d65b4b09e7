"""Keys that callers send, fixed by the operator in a key file."""

from __future__ import annotations

MIN_LENGTH = 16  # characters
COMMENT = "#"


def is_valid(key: str) -> bool:
    """Whether a fixed key is long enough, and can be sent in a header."""
    return len(key) >= MIN_LENGTH and key.isprintable() and " " not in key


def keys_in(text: str) -> list[str]:
    """The keys in a key file: one a line, without white space around it, in their order.

    Empty lines and lines that begin with `#` are left out. Servers accept each key, clients send the first one.
    """
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(COMMENT)]
