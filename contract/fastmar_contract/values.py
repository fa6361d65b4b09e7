"""Checks of a record's values against their columns, with an error for each value that is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from fastmar_contract.cells import category_reader, read_number, read_text
from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError

NUMBER, CATEGORY, DATE, TEXT = "number", "category", "date", "text"  # kinds of columns

FLOAT32_MAX = 3.4028234663852886e38

_COMMAS = re.compile(r"[+-]?\d[\d.,' \xa0\u202f]*")  # numbers with a decimal comma, or with separators of thousands

SEND_DATE = 'send it as "2024-01-31" or "2024-01-31T08:30:00".'


class Column(Protocol):
    """The properties of a column that the checks use."""

    @property
    def name(self) -> str:
        """The name in records."""

    @property
    def nullable(self) -> bool:
        """Whether null is accepted."""


def as_date(value: Any) -> datetime | None:
    """The date of an ISO 8601 text, or None."""
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def check_number(value: Any, column: Column) -> float | int | None:
    """The number, or None for null. Text is parsed like a CSV cell.

    Raises:
        RecordError: `null_not_filled`, `out_of_range` or `not_a_number`.
    """
    kind = type(value)
    if kind is float or kind is int:
        if -FLOAT32_MAX <= value <= FLOAT32_MAX:
            return value  # type: ignore[no-any-return]
        if value != value:  # NaN is pandas' null  # noqa: PLR0124
            return check_number(None, column)
        raise RecordError(
            "out_of_range",
            f"{column.name!r} is {short_repr(value)}, outside of the range of numbers that the model accepts.",
            fix=f"send a number from -{FLOAT32_MAX:.3g} to {FLOAT32_MAX:.3g}.",
            field=column.name,
        )
    if value is None:
        if not column.nullable:
            raise null_not_filled(column.name)
        return None  # a later step fills it
    if kind is bool:
        return int(value)  # as fastai treats a column of bools
    if kind is str and type(number := read_number(value)) is not str:
        return check_number(number, column)
    if _is_scalar(value):
        return check_number(value.item(), column)
    raise RecordError(
        "not_a_number",
        f"{column.name!r} must be a number; got {short_repr(value)}.",
        fix=_number_fix(value),
        field=column.name,
    )


def _number_fix(value: Any) -> str:
    if isinstance(value, str) and _COMMAS.fullmatch(value.strip()):
        return "write the number with a decimal point and no other separators, such as 1234.5."
    return "send a number."


def _is_scalar(value: Any) -> bool:
    """Whether `value` is a numpy scalar."""
    return hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ())


def null_not_filled(name: str) -> RecordError:
    """The error for a null in a column of numbers that had no missing values in training."""
    return RecordError(
        "null_not_filled",
        f"{name!r} is empty (null): the column had no missing values when the model was trained.",
        fix=f"send a number for {name!r}, or train the model with missing values in it.",
        field=name,
    )


def number_as_text(name: str, sent: str, read: Any) -> str:
    """The warning for a number that was sent as text."""
    return f"{name!r} is the text {short_repr(sent)}; it is read as {'null' if read is None else repr(read)}."


def check_category(value: Any, column: Column) -> Any:
    """A string, number, bool, or None for null. `categories` decides whether the model knows it.

    Raises:
        RecordError: `not_a_value`.
    """
    if type(value) is str or value is None:
        return value
    if isinstance(value, str | int | float):
        return None if value != value else value  # noqa: PLR0124 - NaN is pandas' null
    if _is_scalar(value):
        return check_category(value.item(), column)
    raise RecordError(
        "not_a_value",
        f"{column.name!r} must be a single category; got {short_repr(value)}.",
        fix="send one string, number, true, false or null.",
        field=column.name,
    )


def check_date(value: Any, column: Column) -> Any:
    """A string or null; the step that uses the date parses it.

    Raises:
        RecordError: `null_not_filled` or `not_a_date`.
    """
    if value is None and not column.nullable:
        raise RecordError(
            "null_not_filled",
            f"the date {column.name!r} is empty (null): no dates were missing when the model was trained.",
            fix='send it as "2024-01-31".',
            field=column.name,
        )
    if value is None or isinstance(value, str):
        return value
    raise RecordError(
        "not_a_date",
        f"{column.name!r} must be a date; got {short_repr(value)}.",
        fix=SEND_DATE,
        field=column.name,
    )


def check_text(value: Any, column: Column) -> str:
    """The text; it may be empty.

    Raises:
        RecordError: `not_a_text`.
    """
    if isinstance(value, str):
        return value
    raise RecordError(
        "not_a_text",
        f"{column.name!r} must be a text; got {short_repr(value)}.",
        fix='send a string; for no text, send "".',
        field=column.name,
    )


def not_an_object(value: Any) -> RecordError:
    """The error for a record that is not an object."""
    return RecordError(
        "not_an_object",
        f"the record must be an object; got {short_repr(value)}.",
        fix="send an object with a value for each column.",
    )


def missing_date(name: str, part: str) -> RecordError:
    """The error for a record without a date and without one of its parts."""
    return RecordError(
        "missing_column",
        f"the record has neither the date {name!r} (under any name) nor {part!r}.",
        fix=f'send the date as {name!r}, for example "2024-01-31".',
        field=name,
    )


def invalid_date(name: str, value: Any) -> RecordError:
    """The error for a text that is not a date."""
    return RecordError(
        "not_a_date", f"{name!r} must be an ISO 8601 date; got {short_repr(value)}.", fix=SEND_DATE, field=name
    )


CHECKS: dict[str, Callable[[Any, Column], Any]] = {
    NUMBER: check_number,
    CATEGORY: check_category,
    DATE: check_date,
    TEXT: check_text,
}
"""The check for each kind of column."""


def cell_reader(kind: str, categories: Sequence[Any] = ()) -> Callable[[str], Any]:
    """The function that parses the cells of a column. Dates stay text or null; in a text no word means null."""
    if kind == TEXT:
        return str
    if kind == NUMBER:
        return read_number
    if kind == CATEGORY:
        return category_reader(categories)
    return read_text
