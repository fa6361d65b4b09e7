"""Parquet and Arrow IPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_output
from fastmar_bulk.sources import ending
from fastmar_bulk.tables import Values
from fastmar_client.errors import CsvUnwritable
from fastmar_runtime.columns import MISSING

_ROW_GROUP = 65_536  # rows, which are in memory until they are written


class _ArrowFile:
    """See `Sink`. The types of the columns are those of the first rows."""

    def __init__(self, target: str, path: Path | pa.NativeFile) -> None:
        self._target = target
        self._path = path
        self._is_parquet = ending(target) in (".parquet", ".pq")
        self._writer: Any = None
        self._schema: pa.Schema = None
        self._rows: list[pa.Table] = []
        self._file = None if self._is_parquet else open_output(target, path)

    def write(self, rows: Rows) -> None:
        try:
            table = pa.table({name: _array(values) for name, values in rows.items()})
            if self._writer is None:
                self._start(table.schema)
            table = table.cast(self._schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise CsvUnwritable(
                f"rows have values of several types in a column, which {self._target} can't have ({error!s:.200}).",
                fix="write .csv or .jsonl, or keep fewer columns (--keep).",
                code="types_differ",
            ) from error
        self._rows.append(table)
        if not self._is_parquet or sum(part.num_rows for part in self._rows) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        if self._writer is not None:
            self._flush()
            self._writer.close()
        if self._file is not None:
            self._file.close()

    def _start(self, schema: pa.Schema) -> None:
        # A column that starts with nulls has the type of its later values: only the texts of answers are null at first.
        self._schema = pa.schema(
            [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema]
        )
        if self._is_parquet:
            self._writer = pq.ParquetWriter(self._path, self._schema)
        else:
            self._writer = pa.ipc.new_file(self._file, self._schema)

    def _flush(self) -> None:
        if self._rows:
            table = pa.concat_tables(self._rows)
            self._rows = []
            if self._is_parquet:
                self._writer.write_table(table, row_group_size=table.num_rows)
            else:
                self._writer.write_table(table.combine_chunks())


def _array(values: Values) -> Any:
    if isinstance(values, list):
        return pa.array([None if value is MISSING else value for value in values])
    return values


def open_sink(target: str, path: Path | pa.NativeFile, csv: CsvFormat) -> Sink:  # noqa: ARG001
    """See `sinks.open_sink`. `path` can be an open file, for Parquet."""
    return _ArrowFile(target, path)
