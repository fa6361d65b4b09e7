"""Records to columns: the first station of a tabular record, where its values are checked against the fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os.path import commonprefix
from typing import Any

import numpy as np

from fastmar_runtime.errors import RecordError
from fastmar_runtime.report import Report, shown
from fastmar_runtime.spec import CATEGORY, DATE, NUMBER, Field

Columns = dict[str, list[Any]]
"""A batch by column name; every list is as long as the batch. Plain Python values: at the sizes of a batch they are
quicker than arrays, and Python's numbers are the float64 and the exact integers that fastai computes with."""

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
"""Stands in an optional column where the record does not have it."""

FLOAT32_MAX = 3.4028234663852886e38

_MOST_EXTRA = 20  # columns too many that are named one by one

_NOT_AN_OBJECT = "a record is an object with a value for each column."


def gather(records: Sequence[Any], fields: Sequence[Field], report: Report) -> Columns:
    """Columns of `records`, one for each of `fields`, in any order of a record's own columns.

    A record that has to be refused is reported and leaves None in its place, so that rows keep their positions.
    """
    columns: Columns = {f.name: [None] * len(records) for f in fields}
    checks = [(f.name, columns[f.name], f.optional, _CHECKS[f.kind], f) for f in fields]
    parts = {f.name: _parts(f, fields) for f in fields if f.aliases}
    for row, record in enumerate(records):
        if isinstance(record, RecordError):  # the payload already found that it can't be read
            report.refuse(row, record)
            continue
        if not isinstance(record, dict):
            report.refuse(row, RecordError("not_an_object", f"found {shown(record)}.", fix=_NOT_AN_OBJECT))
            continue
        found = 0
        for name, column, optional, check, field in checks:
            value = record.get(name, MISSING)
            if value is MISSING and optional:
                if field.aliases and not _has(record, parts[name]):  # else it is some other column of that name
                    value = next((record[alias] for alias in field.aliases if alias in record), MISSING)
                if value is MISSING:
                    column[row] = MISSING
                    continue
            if value is MISSING:
                report.refuse(row, _missing(field, record))
                break
            found += 1
            try:
                column[row] = check(value, field)
            except RecordError as error:
                report.refuse(row, error)
                break
        else:
            if found < len(record):
                read = [f for f in fields if f.aliases and not _has(record, parts[f.name])]
                _warn_extra(row, record, {*columns, *(alias for f in read for alias in f.aliases)}, report)
    return columns


def _parts(date: Field, fields: Sequence[Field]) -> set[str]:
    """Columns that are computed from a date of several names; theirs begin with what those have in common."""
    prefix = commonprefix([date.name, *date.aliases])  # noqa: RUF071 - character by character is what is meant
    return {f.name for f in fields if f.optional and f.kind != DATE and f.name.startswith(prefix)}


def _has(record: dict[str, Any], parts: set[str]) -> bool:
    return bool(parts) and parts <= record.keys()


def _warn_extra(row: int, record: dict[str, Any], known: set[str], report: Report) -> None:
    extra = [str(name) for name in record if name not in known]
    for name in extra[:_MOST_EXTRA]:
        message = "the model does not use this column; it was ignored."
        report.warn(row, field=name, code="extra_column", value=None, message=message)
    if (more := len(extra) - _MOST_EXTRA) > 0:
        message = f"the model does not use {more} more columns; they were ignored."
        report.warn(row, field=extra[_MOST_EXTRA], code="extra_column", value=None, message=message)


def _missing(field: Field, record: dict[Any, Any]) -> RecordError:
    near = [name for name in record if isinstance(name, str) and name.strip().lower() == field.name.strip().lower()]
    fix = f"rename {near[0]!r} to {field.name!r}." if near else f"send a value for {field.name!r}"
    if not near:
        fix += ", or null if it is not known." if field.nullable else "."
    return RecordError("missing_column", f"the record has no {field.name!r}.", fix=fix, field=field.name)


def check_number(value: Any, field: Field) -> float | int | None:
    """A number, or None for null."""
    kind = type(value)
    if kind is float or kind is int:
        if -FLOAT32_MAX <= value <= FLOAT32_MAX:
            return value  # type: ignore[no-any-return]
        if value != value:  # NaN is pandas' null  # noqa: PLR0124
            return None
        raise RecordError(
            "out_of_range",
            f"{field.name!r} is {shown(value)}, which is over the largest number that the model can take.",
            fix=f"send a finite number of at most {FLOAT32_MAX:.3g} in size.",
            field=field.name,
        )
    if value is None:  # filled or refused by later steps
        return None
    if kind is bool:
        return int(value)  # as fastai reads a column of bools
    if isinstance(value, np.generic):
        return check_number(value.item(), field)
    raise RecordError(
        "not_a_number",
        f"{field.name!r} is {shown(value)}, where a number belongs.",
        fix="send the number without quotation marks." if _is_number(value) else "send a number.",
        field=field.name,
    )


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def check_category(value: Any, field: Field) -> Any:
    """A string, number, bool, or None for null; whether the model knows it is for a later step to say."""
    if type(value) is str or value is None:
        return value
    if isinstance(value, str | int | float):
        return None if value != value else value  # noqa: PLR0124 - NaN is pandas' null
    if isinstance(value, np.generic):
        return check_category(value.item(), field)
    raise RecordError(
        "not_a_value",
        f"{field.name!r} is {shown(value)}, where one category belongs.",
        fix="send one string, number, true, false or null.",
        field=field.name,
    )


def check_date(value: Any, field: Field) -> Any:
    """A string or null; the step that computes with it reads it."""
    if value is None and not field.nullable:
        raise RecordError(
            "null_not_filled",
            f"the date {field.name!r} is null, and no missing dates were seen when the model was trained.",
            fix='send it as "2024-01-31".',
            field=field.name,
        )
    if value is None or isinstance(value, str):
        return value
    raise RecordError(
        "not_a_date",
        f"{field.name!r} is {shown(value)}, where a date belongs.",
        fix='send it as "2024-01-31" or "2024-01-31T08:30:00".',
        field=field.name,
    )


_CHECKS: dict[str, Callable[[Any, Field], Any]] = {NUMBER: check_number, CATEGORY: check_category, DATE: check_date}
