"""A plausible category where no table tells the commonest one: a learner does not record how often it saw each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_NO_VALUE = frozenset(
    ["", "?", "-", "#na#", "n/a", "na", "nan", "nil", "none", "null", "unknown", "missing", "other", "not available"]
)


def typical_category(categories: Sequence[Any]) -> Any:
    """The middle one of those that name a value, so neither "?" nor the first of the alphabet; None of none.

    A vocabulary is sorted, so the middle of numbers is near their median. Of false and true it is false: a flag is
    mostly not set.
    """
    named = [category for category in categories if str(category).strip().lower() not in _NO_VALUE] or categories
    if not named:
        return None
    return named[0] if all(type(category) is bool for category in named) else named[len(named) // 2]
