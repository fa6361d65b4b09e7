"""A plausible default category, for exports without reference data: a learner does not record frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.placeholders import is_placeholder


def typical_category(categories: Sequence[Any]) -> Any:
    """The middle category, without placeholders such as "?"; None if there are no categories.

    A vocabulary is sorted, so for numbers the middle is near the median. For booleans it is False, the usual value of a
    flag.
    """
    named = [category for category in categories if not is_placeholder(category)] or categories
    if not named:
        return None
    return named[0] if all(type(category) is bool for category in named) else named[len(named) // 2]
