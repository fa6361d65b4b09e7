"""Rows of a table by column, as they come from a file or from a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from fastmar_client.encoding import as_read
from fastmar_client.errors import RecordRefused
from fastmar_contract.errors import RecordError
from fastmar_contract.values import cell_reader
from fastmar_runtime.columns import MISSING
from fastmar_runtime.spec import Field

Values: TypeAlias = "Any | list[Any]"
"""A column of a table: an Arrow array, or a list of Python values of several types, with `MISSING` where a row does not
have it."""

_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


@dataclass(frozen=True, slots=True)
class Table:
    """Consecutive rows of a table.

    Attributes:
        columns: the columns by name.
        size: number of rows.
        is_text: whether all values are the texts of CSV cells, which are parsed by the kind of their field.
        faults: errors of rows that could not be read, by row.
    """

    columns: Mapping[str, Values]
    size: int
    is_text: bool = False
    faults: Mapping[int, RecordError] = field(default_factory=dict)

    def slices(self, size: int) -> Iterator[Table]:
        """Consecutive parts of at most `size` rows."""
        for start in range(0, self.size, size):
            stop = min(start + size, self.size)
            columns = {name: values[start:stop] for name, values in self.columns.items()}
            faults = {row - start: error for row, error in self.faults.items() if start <= row < stop}
            yield Table(columns, stop - start, self.is_text, faults)

    def records(self, rows: Sequence[int], fields: Mapping[str, Field]) -> list[Any]:
        """The records of some rows, as the runtime reads them; a `RecordError` in place of one that can't be read.

        Args:
            rows: their numbers.
            fields: the fields by the name of the column.
        """
        columns = {}
        for name, values in self.columns.items():
            if isinstance(values, list):
                columns[name] = [values[row] for row in rows]
            else:
                columns[name] = values.take(pa.array(rows, pa.int64())).to_pylist()
        if self.is_text:
            for name, cells in columns.items():
                read = cell_reader(fields[name].kind, fields[name].categories)
                columns[name] = [read(cell) for cell in cells]
        if not columns:
            return [{} for _ in rows]
        records = (zip(columns, row, strict=True) for row in zip(*columns.values(), strict=True))
        if self.is_text:
            return [dict(record) for record in records]
        return [_plain({name: value for name, value in record if value is not MISSING}) for record in records]


def without_views(values: Values) -> Values:
    """The same column, where Arrow's string views, which Polars has, are large strings: few functions take views."""
    if isinstance(values, list):
        return values
    kind = values.type
    if pa.types.is_dictionary(kind) and kind.value_type in _VIEWS:
        return pa.DictionaryArray.from_arrays(values.indices, values.dictionary.cast(_VIEWS[kind.value_type]))
    return values.cast(_VIEWS[kind]) if kind in _VIEWS else values


def distinct_values(values: list[Any], field: Field, *, is_text: bool) -> list[Any] | None:
    """Distinct values of a column, as the runtime reads them in a record; None if one can't be read."""
    if is_text:
        read = cell_reader(field.kind, field.categories)
        return [None if value is None else read(value) for value in values]
    try:
        plain: list[Any] = as_read(values)
    except RecordRefused:
        return None
    return plain


def _plain(record: dict[str, Any]) -> Any:
    try:
        return as_read(record)
    except RecordRefused as error:
        return RecordError(error.code, error.message, fix=error.fix, field=error.field)
