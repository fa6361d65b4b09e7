"""Matching of values with the categories of a vocabulary, as fastai does it, and suggestions for others.

Values match by Python's equality, as in `learn.predict` (1 matches 1.0, and 0 and 1 match False and True), except that
a bool never matches a vocabulary of numbers. Values are not converted to or from strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_contract.display import short_repr
from fastmar_contract.similar import SimilarNames
from fastmar_contract.values import as_date

WHITE_SPACE, UNKNOWN = "category_whitespace", "unknown_category"  # codes of warnings


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The interpretation of a value that does not match any category exactly.

    Attributes:
        category_code: code of the category that the value is read as, from 1; 0 if it is unknown.
        warning: code of the warning; None if the value is a known date in another notation.
        message: the message of the warning.
        similar: the category that an unknown value probably misspells.
    """

    category_code: int
    warning: str | None = None
    message: str = ""
    similar: Any = None


class Categories:
    """The categories of a column.

    Attributes:
        codes: category to code, from 1.
        takes_bools: whether a bool can match: False if all categories are numbers.
    """

    __slots__ = ("_ambiguous", "_has_dates", "_names", "_printed", "_trimmed", "codes", "takes_bools")

    def __init__(self, values: Iterable[Any]) -> None:
        """`values` are the categories in the order of their codes; dates are `datetime`s."""
        values = list(values)
        by_trimmed: dict[str, list[str]] = {}
        for value in values:
            if isinstance(value, str):
                by_trimmed.setdefault(value.strip(), []).append(value)
        # Of equal values, such as 1 and True, the first one wins.
        self.codes: dict[Any, int] = {value: code for code, value in reversed(list(enumerate(values, 1)))}
        self.takes_bools = not all(type(x) in (int, float) for x in values)
        self._has_dates = any(isinstance(x, datetime) for x in values)
        self._printed = {str(value): value for value in values}
        self._trimmed = {text: same[0] for text, same in by_trimmed.items() if len(same) == 1}
        self._ambiguous = {text for text, same in by_trimmed.items() if len(same) > 1}
        self._names = SimilarNames(value for value in values if isinstance(value, str))

    def code(self, value: Any) -> int:
        """The code of a value that matches a category exactly, else 0."""
        if value in self.codes and (type(value) is not bool or self.takes_bools):
            return self.codes[value]
        return 0

    def is_ambiguous(self, text: str) -> bool:
        """Whether `text` matches no category exactly, and several if surrounding white space is ignored."""
        return text not in self.codes and text.strip() in self._ambiguous

    def match_ignoring_white_space(self, text: str) -> str:
        """The only category that differs from `text` at most in surrounding white space; else `text` itself."""
        return text if text in self.codes else self._trimmed.get(text.strip(), text)

    def interpret(self, value: Any, *, may_search: Callable[[], bool] = lambda: True) -> Interpretation:
        """Interpret a value that matches no category exactly.

        `may_search` is called before the search for a similar name, which is slow if there are many categories.
        """
        if isinstance(value, str):
            if self._has_dates and (date := as_date(value)) in self.codes:
                return Interpretation(self.codes[date])
            if (meant := self._trimmed.get(value.strip())) is not None:
                message = f"read as {meant!r}: the two differ only in surrounding white space."
                return Interpretation(self.codes[meant], WHITE_SPACE, message)
        message = f"the model was not trained with {short_repr(value)}, and treats it as an unknown category."
        text = str(value) if isinstance(value, str | bool) else short_repr(value)
        if (similar := self._printed.get(text)) is not None:  # the string "3" for the number 3, and the like
            kind = "text" if isinstance(similar, str) else "boolean" if isinstance(similar, bool) else "number"
            message += f" Did you mean the {kind} {short_repr(similar)}? A text never matches a number or a boolean."
        elif isinstance(value, str) and may_search() and (similar := self._names.closest(value)) is not None:
            message += f" Did you mean {similar!r}?"
        return Interpretation(0, UNKNOWN, message, similar)
