"""Records to columns: the first stage of a tabular record, where its values are checked against the fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from os.path import commonprefix
from types import MappingProxyType
from typing import Any

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.similar import SimilarNames
from fastmar_contract.values import CHECKS, DATE, FLOAT32_MAX, NUMBER, number_as_text
from fastmar_runtime.faults import MissingColumn, combined
from fastmar_runtime.ranges import Range
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field

Columns = dict[str, list[Any]]
"""A batch by column name; every list is as long as the batch. Plain Python values: at the sizes of a batch they are
quicker than arrays, and Python's numbers are the float64 and the exact integers that fastai computes with."""

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
"""Stands in an optional column where the record does not have it."""

_MOST_EXTRA = 20  # columns too many that are named one by one
_MOST_COMPARED = 200  # columns of a record that a missing one is searched among

_NONE_USUAL = (math.inf, -math.inf)  # least and largest number that is taken without another look: no number is

_NOT_AN_OBJECT = "a record is an object with a value for each column."


def gather(
    records: Sequence[Any],
    fields: Sequence[Field],
    report: Report,
    ranges: Mapping[str, Range] = MappingProxyType({}),
) -> Columns:
    """Columns of `records`: `Gatherer` for one call."""
    return Gatherer(fields, ranges)(records, report)


class Gatherer:
    """Makes columns of records, one for each field, in any order of a record's own columns.

    A number that is sent as text is read as in a CSV, with a warning: "49" is 49, "" and "NA" are null. A number that
    is outside of its column's range in `ranges` gets a warning too.
    """

    def __init__(self, fields: Sequence[Field], ranges: Mapping[str, Range]) -> None:
        self._fields = fields
        self._ranges = ranges
        self._checks = [(f.name, *(_usual(f, ranges) if f.kind == NUMBER else _NONE_USUAL), f) for f in fields]
        self._parts = {f.name: _parts(f, fields) for f in fields if f.aliases}

    def __call__(self, records: Sequence[Any], report: Report) -> Columns:
        """Columns of `records`.

        A record that has to be refused is reported with all its faults and leaves None in place of the values at fault,
        so that rows keep their positions.
        """
        columns: Columns = {f.name: [None] * len(records) for f in self._fields}
        parts, ranges = self._parts, self._ranges
        absent: dict[str, MissingColumn] = {}  # one error for all records that lack a column
        for row, record in enumerate(records):
            if isinstance(record, RecordError):  # the payload already found that it can't be read
                report.refuse(row, record)
                continue
            if not isinstance(record, dict):
                report.refuse(row, RecordError("not_an_object", f"found {short_repr(record)}.", fix=_NOT_AN_OBJECT))
                continue
            found = 0
            faults: list[RecordError] = []
            for name, low, high, field in self._checks:
                value = record.get(name, MISSING)
                kind = type(value)
                if (kind is float or kind is int) and low <= value <= high:  # most values of most records
                    columns[name][row] = value
                    found += 1
                    continue
                if value is MISSING and field.optional:
                    if field.aliases and not _has(record, parts[name]):  # else it is some other column of that name
                        value = next((record[alias] for alias in field.aliases if alias in record), MISSING)
                    if value is MISSING:
                        columns[name][row] = MISSING
                        continue
                if value is MISSING:
                    fault = absent.get(name) or absent.setdefault(name, MissingColumn(name, nullable=field.nullable))
                    faults.append(fault)
                    if len(faults) == 1 and not report.explain(row):
                        break
                    continue
                try:
                    columns[name][row] = read = CHECKS[field.kind](value, field)
                    found += 1
                except RecordError as fault:
                    faults.append(fault.with_traceback(None))  # which would keep every column of the batch alive
                    if len(faults) == 1 and not report.explain(row):
                        break
                    continue
                if field.kind == NUMBER:
                    _warn_number(row, value, read, field, ranges.get(name), report)
            if faults:
                if row in report.explained:
                    faults = _with_near_names(faults, record, self._fields, report)
                report.refuse(row, combined(faults))
            elif found < len(record):
                read = [f for f in self._fields if f.aliases and not _has(record, parts[f.name])]
                _warn_extra(row, record, {*columns, *(alias for f in read for alias in f.aliases)}, report)
        return columns


def _usual(field: Field, ranges: Mapping[str, Range]) -> tuple[float, float]:
    """The least and the largest number of a column that is taken without another look."""
    usual = ranges.get(field.name)
    return (-FLOAT32_MAX, FLOAT32_MAX) if usual is None else (usual.low, usual.high)


def _warn_number(row: int, sent: Any, read: Any, field: Field, usual: Range | None, report: Report) -> None:
    """Warn of a number that was sent as text, and of one that is far from the training data."""
    if isinstance(sent, str):
        message = number_as_text(field.name, sent, read)
        report.warn(row, field=field.name, code="number_as_text", value=sent, message=message)
    if usual is not None and read is not None and not usual.low <= read <= usual.high:
        message = f"{field.name!r} is {short_repr(read)}; {usual.about}."
        report.warn(row, field=field.name, code="far_from_training", value=read, message=message)


def _with_near_names(
    faults: list[RecordError], record: dict[Any, Any], fields: Sequence[Field], report: Report
) -> list[RecordError]:
    """`faults`; of missing columns with the name that the record probably has in place of theirs."""
    known = {name for f in fields for name in (f.name, *f.aliases)}
    extra = [name for name in islice(record, _MOST_COMPARED) if isinstance(name, str) and name not in known]
    if not extra:
        return faults
    names = SimilarNames(extra)
    return [
        MissingColumn(fault.field, nullable=fault.nullable, near=names.closest(fault.field))
        if isinstance(fault, MissingColumn) and fault.field is not None and report.may_search()
        else fault
        for fault in faults
    ]


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
