"""The order of the categories of a field, as people expect it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastmar_contract.placeholders import is_placeholder

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_LEVELS = ("very low", "low", "medium", "high", "very high")
_LETTERS = 3  # that an abbreviation has at least, such as "Mon" or "Sept."


def in_order(categories: Sequence[Any]) -> list[Any]:
    """The categories in the order of weekdays, months, levels or numbers, if all of them are such texts.

    Others stay as they are. fastai sorts categories, except those of a pandas column with an order of its own. So
    categories that are not sorted have such an order, and keep it. Placeholders such as "?" come last.
    """
    texts = [category.strip().lower() for category in categories if isinstance(category, str)]
    if len(texts) < len(categories) or list(categories) != sorted(categories):
        return list(categories)
    for rank in _RANKS:
        ranks = [math.inf if is_placeholder(text) else rank(text) for text in texts]
        found = [each for each in ranks if each is not None]
        if len(found) == len(categories):
            return [category for _, category in sorted(zip(found, categories, strict=True), key=lambda pair: pair[0])]
    return list(categories)


def _place(sequence: tuple[str, ...], text: str) -> float | None:
    """The place of a name, or of its beginning, in a sequence."""
    beginning = text.rstrip(".")
    found = (place for place, name in enumerate(sequence) if name.startswith(beginning))
    return next(found, None) if len(beginning) >= _LETTERS else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


_RANKS: tuple[Callable[[str], float | None], ...] = (
    *(partial(_place, sequence) for sequence in (_DAYS, _MONTHS, _LEVELS)),
    _number,
)
