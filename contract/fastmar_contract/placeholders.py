"""Categories that stand for a missing or an unspecified value, such as "?" and "#na#"."""

from __future__ import annotations

from typing import Any

_MARKS = "?#-. "  # around the word, or all of it
_WORDS = frozenset(
    ["", "missing", "n/a", "na", "nan", "nil", "none", "not available", "null", "other", "unknown"]
)  # fmt: skip


def is_placeholder(category: Any) -> bool:
    """Whether a category is no typical value: a form puts it last, and does not choose it as a default or at random."""
    return str(category).lower().strip().strip(_MARKS) in _WORDS
