"""Names of columns and dates in fastai's `add_datepart`, which replaces a date by columns for its parts."""

from __future__ import annotations

from collections.abc import Iterable

ELAPSED = "Elapsed"
PART_NAMES = (
    "Year", "Month", "Week", "Day", "Dayofweek", "Dayofyear",
    "Is_month_end", "Is_month_start", "Is_quarter_end", "Is_quarter_start", "Is_year_end", "Is_year_start",
    "Hour", "Minute", "Second", ELAPSED,
)  # fmt: skip
"""The parts, in fastai's order. A column's name is the prefix of the date and one of them."""


def date_names(prefix: str) -> list[str]:
    """Possible names of the date whose parts start with `prefix`, the most probable first.

    fastai removes "date" or "Date" from the end of the name: "saledate", "saleDate" and "sale" all become "saleYear".
    """
    return [name for name in (f"{prefix}date", f"{prefix}Date", prefix) if name]


def date_of(column: str, names: Iterable[str]) -> str | None:
    """The one of `names` that may be the date of which `column` is a part, or None."""
    possible = {name for part in PART_NAMES if column.endswith(part) for name in date_names(column.removesuffix(part))}
    return next((name for name in names if name in possible), None)


def add_datepart_fix(date: str, columns: str) -> str:
    """The fix for missing `columns`, a list for a message, that are parts of `date`."""
    return f"if {date!r} is a date, compute {columns} with fastai's add_datepart(table, {date!r})."
