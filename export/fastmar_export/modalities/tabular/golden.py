"""Golden records for a new archive, made from vocabularies and statistics only, so they contain no training row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from fastmar_contract.values import CATEGORY, DATE
from fastmar_export.conversion import State
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field

COUNT = 32
UNKNOWN = "a category that nobody trained with"
_GOLDEN_RATIO = 0.6180339887498949  # its multiples modulo 1 are distributed evenly
_RANGE = 2.0  # standard deviations on each side of the mean
_DIGITS = 6
_DAYS = 1000.0  # standard deviation of a date without statistics
_FIRST_DAY, _LAST_DAY = date.min.toordinal(), date.max.toordinal()


def golden_records(fields: Sequence[Field], steps: Sequence[State]) -> list[dict[str, Any]]:
    """`COUNT` records: plausible ones with all categories; the last three have nulls, unknown categories and spaces."""
    dates = {step["date"]: step for step in steps if step["step"] == "add_datepart"}
    records = [{f.name: _value(f, row, column) for column, f in enumerate(fields)} for row in range(COUNT)]
    for row, record in enumerate(records):  # every second record has the date's parts instead of the date
        for name_of_date, step in dates.items():
            for name in [name_of_date] if row % 2 else [step["prefix"] + part for part in step["parts"]]:
                record.pop(name, None)
    records[-3].update({f.name: None for f in fields if f.nullable and f.name in records[-3] and f.kind != DATE})
    records[-2].update({f.name: UNKNOWN for f in fields if f.kind == CATEGORY and f.name in records[-2]})
    records[-1].update({f.name: _with_space(records[-1][f.name]) for f in fields if f.name in records[-1]})
    return records


def _value(field: Field, row: int, column: int) -> Any:
    if row == 0 and field.default is not None:  # documentation and forms show the first record as an example
        return field.default
    if field.kind == DATE:
        middle_day = date.fromisoformat(field.default or "2000-01-01")
        reach = _RANGE * (_DAYS if field.spread is None else field.spread)
        day = middle_day.toordinal() + (2 * _place(row, column) - 1) * reach
        return date.fromordinal(round(min(max(day, _FIRST_DAY), _LAST_DAY))).isoformat()
    if field.kind == CATEGORY:
        return json_value(field.categories[(row + column) % len(field.categories)]) if field.categories else None
    middle = field.default if isinstance(field.default, int | float) else 0.0
    spread = field.spread if field.spread is not None else max(1.0, abs(middle))
    return round(middle + (2 * _place(row, column) - 1) * _RANGE * spread, _DIGITS)


def _place(row: int, column: int) -> float:
    """A number between 0 and 1, which differs between records and columns."""
    return ((row + 1) * _GOLDEN_RATIO + column * 0.37) % 1.0


def _with_space(value: Any) -> Any:
    return f"{value} " if isinstance(value, str) and value.strip() else value
