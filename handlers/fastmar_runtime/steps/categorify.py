"""fastai's Categorify: a category becomes its position in the vocabulary, from 1; what is not known becomes 0.

The matching is `learn.predict`'s, value by value: Python's equality (1 is 1.0, and 0 and 1 are a vocabulary's False and
True), except that a bool never matches a vocabulary of numbers. Nothing is turned into a string or out of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_runtime.report import Report, shown
from fastmar_runtime.similar import Names
from fastmar_runtime.spec import TIMESTAMP, check_category
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import check


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One column's categories.

    Attributes:
        codes: category to code, from 1.
        printed: how a category prints to the category, to hint at one of another type.
        trimmed: category without surrounding white space to the category, where exactly one is spelled so.
        takes_bools: whether a bool can match: not where all categories are numbers.
        has_dates: whether there are dates among the categories, so that strings are read as dates too.
        names: the categories that are strings, to hint at one that is spelled alike.
    """

    codes: dict[Any, int]
    printed: dict[str, Any]
    trimmed: dict[str, str]
    takes_bools: bool
    has_dates: bool
    names: Names


@dataclass(frozen=True, slots=True)
class Categorify:
    """Attributes: `vocabularies`, by column."""

    vocabularies: dict[str, Vocabulary]

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Codes in place of categories; a null is code 0 without a warning, as fastai has it."""
        encoded = dict(batch)
        for name, vocabulary in self.vocabularies.items():
            codes = vocabulary.codes
            column = []
            for row, value in enumerate(batch[name]):
                if value is None:
                    column.append(0)
                elif value in codes and (type(value) is not bool or vocabulary.takes_bools):
                    column.append(codes[value])
                else:
                    column.append(_near_miss(name, value, vocabulary, row, report))
            encoded[name] = column
        return encoded


def _near_miss(name: str, value: Any, vocabulary: Vocabulary, row: int, report: Report) -> int:
    """The code of what was surely meant, or 0; either way the answer says so."""
    if isinstance(value, str):
        if vocabulary.has_dates and (date := as_date(value)) in vocabulary.codes:
            return vocabulary.codes[date]
        if (meant := vocabulary.trimmed.get(value.strip())) is not None:
            message = f"taken as {meant!r}: the two differ only in white space around them."
            report.warn(row, field=name, code="category_whitespace", value=value, message=message)
            return vocabulary.codes[meant]
    message = f"the model was not trained with {shown(value)}; it was answered as an unknown category."
    text = value if isinstance(value, str) else shown(value)
    if text in vocabulary.printed:  # the string "3" for the number 3, and the like
        hint = vocabulary.printed[text]
        message += f" Did you mean {hint!r} ({type(hint).__name__})? Categories are matched with their type."
    elif isinstance(value, str) and report.may_search() and (near := vocabulary.names.closest(value)) is not None:
        message += f" Did you mean {near!r}?"
    report.warn(row, field=name, code="unknown_category", value=value, message=message)
    return 0


def as_date(text: str) -> datetime | None:
    """An ISO 8601 date or date-time, or None."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def build_vocabulary(items: Sequence[Any]) -> Vocabulary:
    """The vocabulary of `items`, the categories from code 1 in the order of their codes, as `spec.json` holds them."""
    values = [datetime.fromisoformat(x[TIMESTAMP]) if isinstance(x, dict) else x for x in items]
    spelled: dict[str, list[str]] = {}
    for value in values:
        if isinstance(value, str):
            spelled.setdefault(value.strip(), []).append(value)
    return Vocabulary(
        codes={value: code for code, value in reversed(list(enumerate(values, start=1)))},  # the first of equals wins
        printed={str(value): value for value in values},
        trimmed={text: same[0] for text, same in spelled.items() if len(same) == 1},
        takes_bools=not all(type(x) in (int, float) for x in values),
        has_dates=any(isinstance(x, datetime) for x in values),
        names=Names(value for value in values if isinstance(value, str)),
    )


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Categorify:
    """Read ``{"vocabularies": {column: [category, ...]}}``; `path` is where it stands, for messages."""
    vocabularies = check(dict[str, tuple[Any, ...]], state.get("vocabularies"), f"{path}.vocabularies")
    for name, items in vocabularies.items():
        for at, item in enumerate(items):
            check_category(item, f"{path}.vocabularies[{name!r:.60}][{at}]")
    return Categorify({name: build_vocabulary(items) for name, items in vocabularies.items()})
