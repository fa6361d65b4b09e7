"""Values of a record against their columns: which are taken, which are refused, and with what error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from fastmar_contract.cells import category_reader, read_number, read_text
from fastmar_contract.display import shown
from fastmar_contract.errors import RecordError

NUMBER, CATEGORY, DATE = "number", "category", "date"  # kinds of columns

FLOAT32_MAX = 3.4028234663852886e38

SEND_DATE = 'send it as "2024-01-31" or "2024-01-31T08:30:00".'


class Column(Protocol):
    """As much of a column as the checks use."""

    @property
    def name(self) -> str:
        """Its name in records."""

    @property
    def nullable(self) -> bool:
        """Whether null may stand in it."""


def as_date(value: Any) -> datetime | None:
    """The date that a text is in ISO 8601, or None."""
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def check_number(value: Any, column: Column) -> float | int | None:
    """The number, or None for null. Text is read as a cell of a CSV is.

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
            f"{column.name!r} is {shown(value)}, which is over the largest number that the model can take.",
            fix=f"send a finite number of at most {FLOAT32_MAX:.3g} in size.",
            field=column.name,
        )
    if value is None:
        if not column.nullable:
            raise null_not_filled(column.name)
        return None  # a later step fills it
    if kind is bool:
        return int(value)  # as fastai reads a column of bools
    if kind is str and type(number := read_number(value)) is not str:
        return check_number(number, column)
    if _is_scalar(value):
        return check_number(value.item(), column)
    raise RecordError(
        "not_a_number",
        f"{column.name!r} is {shown(value)}, where a number belongs.",
        fix="send a number.",
        field=column.name,
    )


def _is_scalar(value: Any) -> bool:
    """Whether `value` is a scalar of numpy."""
    return hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ())


def null_not_filled(name: str) -> RecordError:
    """The error for a null in a column of numbers for which training has no filling."""
    return RecordError(
        "null_not_filled",
        f"{name!r} is null, and no missing values were seen in it when the model was trained.",
        fix=f"send a number for {name!r}, or train with missing values in it.",
        field=name,
    )


def number_as_text(name: str, sent: str, read: Any) -> str:
    """The warning for a number that was sent as text."""
    return f"{name!r} is the text {shown(sent)}; it is read as {'null' if read is None else repr(read)}."


def check_category(value: Any, column: Column) -> Any:
    """A string, number, bool, or None for null. Whether the model knows it is for `categories` to decide.

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
        f"{column.name!r} is {shown(value)}, where one category belongs.",
        fix="send one string, number, true, false or null.",
        field=column.name,
    )


def check_date(value: Any, column: Column) -> Any:
    """A string or null; the step that computes with it reads it.

    Raises:
        RecordError: `null_not_filled` or `not_a_date`.
    """
    if value is None and not column.nullable:
        raise RecordError(
            "null_not_filled",
            f"the date {column.name!r} is null, and no missing dates were seen when the model was trained.",
            fix='send it as "2024-01-31".',
            field=column.name,
        )
    if value is None or isinstance(value, str):
        return value
    raise RecordError(
        "not_a_date",
        f"{column.name!r} is {shown(value)}, where a date belongs.",
        fix=SEND_DATE,
        field=column.name,
    )


CHECKS: dict[str, Callable[[Any, Column], Any]] = {NUMBER: check_number, CATEGORY: check_category, DATE: check_date}
"""The check of a value by the kind of its column."""


def cell_reader(kind: str, categories: Sequence[Any] = ()) -> Callable[[str], Any]:
    """The function that reads the cells of a column; other kinds than numbers and categories stay text or null."""
    if kind == NUMBER:
        return read_number
    if kind == CATEGORY:
        return category_reader(categories)
    return read_text
