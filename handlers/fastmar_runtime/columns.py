"""Records to columns, with checks of the values against the fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from os.path import commonprefix
from types import MappingProxyType
from typing import Any

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.faults import MissingColumn, combine, suggest_names
from fastmar_contract.values import CATEGORY, CHECKS, DATE, FLOAT32_MAX, NUMBER, TEXT, not_an_object, number_as_text
from fastmar_runtime.ranges import Range
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field

Columns = dict[str, list[Any]]
"""A batch by column name. Values are plain Python values: at typical batch sizes lists are faster than arrays, and
they are the float64 numbers and exact integers that fastai computes with."""

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
"""The value of an optional column that a record does not have."""

_MAX_EXTRA = 20  # unknown columns that get a warning each
_MAX_COMPARED = 200  # columns of a record that are searched for a misspelling of a missing one

_EMPTY_RANGE = (math.inf, -math.inf)  # contains no number: the fast path never applies


def gather(
    records: Sequence[Any],
    fields: Sequence[Field],
    report: Report,
    ranges: Mapping[str, Range] = MappingProxyType({}),
) -> Columns:
    """Columns of `records`: a single call of `Gatherer`."""
    return Gatherer(fields, ranges)(records, report)


class Gatherer:
    """Turns records into columns, one for each field.

    A number that is sent as text is parsed as in a CSV, with a warning: "49" is 49, "" and "NA" are null. A number
    outside of its column's range in `ranges` gets a warning, too. A column that the model does not use gets a warning,
    unless it is one of the `targets`, which tables from the training have.
    """

    def __init__(self, fields: Sequence[Field], ranges: Mapping[str, Range], targets: Sequence[str] = ()) -> None:
        self._fields = fields
        self._ranges = ranges
        self._checks = [
            (f.name, *(_fast_range(f, ranges) if f.kind == NUMBER else _EMPTY_RANGE), f.kind in (CATEGORY, TEXT), f)
            for f in fields
        ]
        self._parts = {f.name: date_part_columns(f, fields) for f in fields if f.aliases}
        self._ignored = frozenset(targets)

    def __call__(self, records: Sequence[Any], report: Report) -> Columns:
        """Columns of `records`.

        A refused record is reported with its faults; its values that are invalid, or were not read, are None in the
        columns, so that rows keep their positions.
        """
        size = len(records)
        columns: Columns = {f.name: [None] * size for f in self._fields}
        checks = list(zip(columns.values(), self._checks, strict=True))
        parts, ranges = self._parts, self._ranges
        absent: dict[str, MissingColumn] = {}  # one error for each column, for all records
        for row, record in enumerate(records):
            if isinstance(record, RecordError):  # the parser of the body already found an error
                report.refuse(row, record)
                continue
            if not isinstance(record, dict):
                report.refuse(row, not_an_object(record))
                continue
            found = 0
            faults: list[RecordError] = []
            for column, (name, low, high, takes_text, field) in checks:
                value = record.get(name, MISSING)
                kind = type(value)
                # The fast path, for values that the field's check would return as they are: a str for a category or a
                # text, or an int or float (no bool) within the range of a number. The range of other fields is empty.
                if takes_text if kind is str else (kind is float or kind is int) and low <= value <= high:
                    column[row] = value
                    found += 1
                    continue
                if value is MISSING and field.optional:
                    if field.aliases and not _has(record, parts[name]):  # with all its parts the date is not needed
                        value = next((record[alias] for alias in field.aliases if alias in record), MISSING)
                    if value is MISSING:
                        column[row] = MISSING
                        continue
                if value is MISSING:
                    fault = absent.get(name) or absent.setdefault(name, MissingColumn(name, nullable=field.nullable))
                    faults.append(fault)
                    if len(faults) == 1 and not report.wants_all_faults(row):
                        break
                    continue
                try:
                    column[row] = read = CHECKS[field.kind](value, field)
                    found += 1
                except RecordError as fault:
                    faults.append(fault.with_traceback(None))  # its frames would keep the columns of the batch alive
                    if len(faults) == 1 and not report.wants_all_faults(row):
                        break
                    continue
                if field.kind == NUMBER:
                    _warn_number(row, value, read, field, ranges.get(name), report)
            if faults:
                report.refuse(row, combine(_add_misspellings(faults, record, row, self._fields, report)))
            elif found < len(record):
                # Only dates have aliases.
                dates = [f for f in self._fields if f.aliases and not _has(record, parts[f.name])]
                known = {*columns, *self._ignored, *(alias for f in dates for alias in f.aliases)}
                _warn_extra(row, record, known, report)
        return columns


def _fast_range(field: Field, ranges: Mapping[str, Range]) -> tuple[float, float]:
    """The smallest and the largest number of a column that need no further checks."""
    expected = ranges.get(field.name)
    return (-FLOAT32_MAX, FLOAT32_MAX) if expected is None else (expected.low, expected.high)


def _warn_number(row: int, sent: Any, read: Any, field: Field, expected: Range | None, report: Report) -> None:
    """Warn about a number that was sent as text, or that is far from the training data."""
    if isinstance(sent, str):
        message = number_as_text(field.name, sent, read)
        report.warn(row, field=field.name, code="number_as_text", value=sent, message=message)
    if expected is not None and read is not None and not expected.low <= read <= expected.high:
        message = f"{field.name!r} is {short_repr(read)}; {expected.about}."
        report.warn(row, field=field.name, code="far_from_training", value=read, message=message)


def _add_misspellings(
    faults: list[RecordError], record: dict[Any, Any], row: int, fields: Sequence[Field], report: Report
) -> list[RecordError]:
    """`faults`, with the name in the record added that explains each missing column; see `suggest_names`.

    Only explained records are searched. Others, such as later rows of the same table, get what was found in these.
    """
    faults = [_known_misspelling(fault, record, report) for fault in faults]
    if row in report.explained:
        known = {name for f in fields for name in (f.name, *f.aliases)}
        extra = [name for name in islice(record, _MAX_COMPARED) if isinstance(name, str) and name not in known]
        faults = suggest_names(faults, extra, may_search=report.may_search)
        report.misspelled |= {f.field: f for f in faults if isinstance(f, MissingColumn) and f.source is not None}
    return faults


def _known_misspelling(fault: RecordError, record: dict[Any, Any], report: Report) -> RecordError:
    found = report.misspelled.get(fault.field) if isinstance(fault, MissingColumn) else None
    return fault if found is None or found.source not in record else found


def date_part_columns(date: Field, fields: Sequence[Field]) -> set[str]:
    """Optional columns that are computed from a date: those that start with the common prefix of the date's names."""
    prefix = commonprefix([date.name, *date.aliases])  # noqa: RUF071 - compares characters on purpose
    return {f.name for f in fields if f.optional and f.kind != DATE and f.name.startswith(prefix)}


def _has(record: dict[str, Any], parts: set[str]) -> bool:
    return bool(parts) and parts <= record.keys()


def _warn_extra(row: int, record: dict[str, Any], known: set[str], report: Report) -> None:
    extra = [str(name) for name in record if name not in known]
    for name in extra[:_MAX_EXTRA]:
        message = "the model does not use this column; it was ignored."
        report.warn(row, field=name, code="extra_column", value=None, message=message)
    if (more := len(extra) - _MAX_EXTRA) > 0:
        message = f"the model does not use {more} more columns; they were ignored."
        report.warn(row, field=extra[_MAX_EXTRA], code="extra_column", value=None, message=message)
