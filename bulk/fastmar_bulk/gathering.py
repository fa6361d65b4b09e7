"""Columns of a table to the columns that the steps start with, as `fastmar_runtime.columns` gathers records."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastmar_bulk.columns import ABSENT, Coded, Columns, Findings, Numbers
from fastmar_bulk.numbers import cells_to_numbers
from fastmar_bulk.steps import NotColumnar
from fastmar_bulk.tables import Table, Values, distinct_values
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CHECKS, FLOAT32_MAX, NUMBER
from fastmar_runtime.columns import date_part_columns
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.spec import Field, Spec

_EXACT = 2.0**53  # integers from here on are rounded to float64, so that they compare differently with limits


class TableGatherer:
    """Reads the columns of a model from tables."""

    def __init__(self, spec: Spec) -> None:
        self._fields = spec.fields
        ranges = expected_ranges(spec)
        whole = (-FLOAT32_MAX, FLOAT32_MAX)
        self._limits = {f.name: (r.low, r.high) if (r := ranges.get(f.name)) else whole for f in spec.fields}
        self._parts = {f.name: date_part_columns(f, spec.fields) for f in spec.fields if f.aliases}

    def sources(self, names: Collection[str]) -> dict[str, Field]:
        """The columns that are read of a table with the columns `names`, with the field of each."""
        found = {}
        for field in self._fields:
            source = self._source(field, names)
            if source is not None:
                found[source] = field
        return found

    def __call__(self, table: Table, findings: Findings) -> Columns:
        """The columns of the fields. Rows with a value that gets a warning or an error are marked as unusual.

        Raises:
            NotColumnar: a column has a type that the columnar rules do not cover.
        """
        columns: Columns = {}
        for field in self._fields:
            source = self._source(field, table.columns)
            if source is None:
                if not field.optional:
                    raise NotColumnar
                columns[field.name] = ABSENT
            elif field.kind == NUMBER:
                columns[field.name] = self._numbers(table.columns[source], field, findings, is_text=table.is_text)
            else:
                columns[field.name] = _coded(table.columns[source], field, findings, is_text=table.is_text)
        return columns

    def _source(self, field: Field, names: Collection[str]) -> str | None:
        """The column of a field. A date under another name is not read if all its parts are there."""
        if field.name in names:
            return field.name
        parts = self._parts.get(field.name)
        if parts and all(part in names for part in parts):
            return None
        return next((alias for alias in field.aliases if alias in names), None)

    def _numbers(self, values: Values, field: Field, findings: Findings, *, is_text: bool) -> Numbers:
        if isinstance(values, list):
            numbers, nulls, odd = _of_objects(values)
        elif is_text:
            numbers, nulls, odd = cells_to_numbers(values)
        else:
            numbers, nulls, odd = _of_array(values)
        low, high = self._limits[field.name]
        usual = (numbers >= low) & (numbers <= high)
        if odd is not None:
            usual &= ~odd
        has_nulls = bool(nulls is not None and nulls.any())
        if has_nulls:
            usual = usual | nulls if field.nullable else usual & ~nulls
        if not usual.all():
            findings.unusual |= ~usual
        return Numbers(numbers, nulls if has_nulls else None)


Parsed = tuple[Any, Any, Any]
"""float64 numbers, bool nulls or None, and bool values that need the record's rule or None."""


def _of_array(values: pa.Array) -> Parsed:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    size = len(values)
    if pa.types.is_null(kind):
        return np.zeros(size), np.ones(size, dtype=bool), None
    if pa.types.is_boolean(kind):
        values, kind = values.cast(pa.uint8()), pa.uint8()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.zeros(size), None, np.ones(size, dtype=bool)
    nulls = None
    if values.null_count:
        nulls = values.is_null().to_numpy(zero_copy_only=False)
        values = values.fill_null(0)
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    if pa.types.is_floating(kind):
        is_nan = np.isnan(numbers)  # null in fastai and pandas
        if is_nan.any():
            nulls = is_nan if nulls is None else nulls | is_nan
        return numbers, nulls, None
    return numbers, nulls, np.abs(numbers) >= _EXACT if kind.bit_width == 64 else None


def _of_objects(values: list[Any]) -> Parsed:
    usual = [type(value) is float or (type(value) is int and -_EXACT <= value <= _EXACT) for value in values]
    numbers = np.array([v if ok else 0.0 for v, ok in zip(values, usual, strict=True)], dtype=np.float64)
    return numbers, None, ~np.array(usual, dtype=bool)


def _coded(values: Values, field: Field, findings: Findings, *, is_text: bool) -> Coded:
    """Categories, dates and texts."""
    column = _distinct_objects(values) if isinstance(values, list) else _distinct(values)
    found = distinct_values(column.values, field, is_text=is_text)
    if found is None:
        raise NotColumnar
    check = CHECKS[field.kind]
    refused = []
    for place, value in enumerate(found):
        try:
            found[place] = check(value, field)
        except RecordError:
            refused.append(place)
            found[place] = None
    column = Coded(column.positions, found)
    findings.mark_values(column, refused)
    return column


def _distinct(values: pa.Array) -> Coded:
    if not pa.types.is_dictionary(values.type):
        try:
            values = pc.dictionary_encode(values)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:  # lists and the like
            raise NotColumnar from error
    size = len(values.dictionary)
    positions = values.indices.fill_null(size) if values.null_count else values.indices
    places = positions.to_numpy(zero_copy_only=False).astype(np.intp)
    used = np.zeros(size + 1, dtype=bool)
    used[places] = True
    if used[:size].all():
        return Coded(places, [*values.dictionary.to_pylist(), None])
    kept = np.flatnonzero(used)  # dictionaries of files have values that these rows do not have
    renumbered = np.zeros(size + 1, dtype=np.intp)
    renumbered[kept] = np.arange(len(kept))
    known = values.dictionary.take(pa.array(kept[kept < size], pa.int64())).to_pylist()
    return Coded(renumbered.take(places), [*known, None] if used[size] else known)


def _distinct_objects(values: list[Any]) -> Coded:
    """Distinct values, where 1, 1.0 and True are different ones."""
    places: dict[tuple[type, Any], int] = {}
    try:
        positions = [places.setdefault((type(value), value), len(places)) for value in values]
    except TypeError as error:  # a list or a dict
        raise NotColumnar from error
    return Coded(np.array(positions, dtype=np.intp), [value for _, value in places])
