"""Keys that callers send, fixed by the operator."""

from __future__ import annotations

MIN_LENGTH = 16  # characters


def is_valid(key: str) -> bool:
    """Whether a fixed key is long enough, and can be sent in a header."""
    return len(key) >= MIN_LENGTH and key.isprintable() and " " not in key
