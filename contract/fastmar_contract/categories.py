"""Which category of a vocabulary a value is: fastai's matching, and what was probably meant by a near miss.

The matching is `learn.predict`'s: Python's equality (1 is 1.0, and 0 and 1 are a vocabulary's False and True), except
that a bool never matches a vocabulary of numbers. Nothing is turned into a string or out of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_contract.display import shown
from fastmar_contract.similar import Names
from fastmar_contract.values import as_date

WHITE_SPACE, UNKNOWN = "category_whitespace", "unknown_category"  # codes of warnings


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A value that is not spelled as any category.

    Attributes:
        category_code: of the category that it is taken for, from 1; 0 for unknown.
        warning: code of the warning, or None where the value is a known date in another notation.
        message: of the warning.
        similar: of an unknown value, the category that it is probably a misspelling of.
    """

    category_code: int
    warning: str | None = None
    message: str = ""
    similar: Any = None


class Categories:
    """The categories of a column.

    Attributes:
        codes: category to code, from 1.
        takes_bools: whether a bool can match: not where all categories are numbers.
    """

    __slots__ = ("_ambiguous", "_has_dates", "_names", "_printed", "_trimmed", "codes", "takes_bools")

    def __init__(self, values: Iterable[Any]) -> None:
        """`values` are the categories in the order of their codes; dates are `datetime`s."""
        values = list(values)
        spelled: dict[str, list[str]] = {}
        for value in values:
            if isinstance(value, str):
                spelled.setdefault(value.strip(), []).append(value)
        # Of equal values, such as 1 and True, the first one wins.
        self.codes: dict[Any, int] = {value: code for code, value in reversed(list(enumerate(values, 1)))}
        self.takes_bools = not all(type(x) in (int, float) for x in values)
        self._has_dates = any(isinstance(x, datetime) for x in values)
        self._printed = {str(value): value for value in values}
        self._trimmed = {text: same[0] for text, same in spelled.items() if len(same) == 1}
        self._ambiguous = {text for text, same in spelled.items() if len(same) > 1}
        self._names = Names(value for value in values if isinstance(value, str))

    def code(self, value: Any) -> int:
        """The code of a value that is spelled as a category; 0 where it is not."""
        if value in self.codes and (type(value) is not bool or self.takes_bools):
            return self.codes[value]
        return 0

    def is_ambiguous(self, text: str) -> bool:
        """Whether several categories differ from `text` in nothing but the white space around them."""
        return text not in self.codes and text.strip() in self._ambiguous

    def without_white_space(self, text: str) -> str:
        """The category that `text` is without regard to the white space around it; else `text` itself."""
        return text if text in self.codes else self._trimmed.get(text.strip(), text)

    def near_miss(self, value: Any, *, may_search: Callable[[], bool] = lambda: True) -> NearMiss:
        """What a value without a code is taken for, and the warning.

        `may_search` is asked before a similar name is searched, which takes time where there are many categories.
        """
        if isinstance(value, str):
            if self._has_dates and (date := as_date(value)) in self.codes:
                return NearMiss(self.codes[date])
            if (meant := self._trimmed.get(value.strip())) is not None:
                message = f"taken as {meant!r}: the two differ only in white space around them."
                return NearMiss(self.codes[meant], WHITE_SPACE, message)
        message = f"the model was not trained with {shown(value)}; it is treated as an unknown category."
        text = value if isinstance(value, str) else shown(value)
        if (similar := self._printed.get(text)) is not None:  # the string "3" for the number 3, and the like
            message += f" Did you mean {similar!r} ({type(similar).__name__})? Categories are matched with their type."
        elif isinstance(value, str) and may_search() and (similar := self._names.closest(value)) is not None:
            message += f" Did you mean {similar!r}?"
        return NearMiss(0, UNKNOWN, message, similar)
