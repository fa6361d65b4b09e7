"""Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fastmar_web.errors import RequestRefused
from fastmar_web.tables.files.base import TableFormat, Upload
from fastmar_web.tables.files.cells import DATE, DATETIME, INTEGER, NUMBER, TEXT, column_kinds, typed_cell

_MAGIC = b"PAR1"
_BATCH = 5000  # rows
_MAX_COLUMNS = 20_000  # as in a CSV file


class ParquetFormat(TableFormat):
    """Parquet files."""

    name = "Parquet"
    extension = "parquet"
    media_type = "application/vnd.apache.parquet"
    module = "pyarrow"

    def is_begin(self, start: bytes) -> bool:
        """See `TableFormat`."""
        return start.startswith(_MAGIC)

    def convert(self, upload: Upload) -> list[str]:
        """See `TableFormat`."""
        from pyarrow import parquet  # noqa: PLC0415 - optional

        try:
            file = parquet.ParquetFile(upload.source)
        except Exception as error:
            raise self.invalid() from error
        with file:
            groups = range(file.metadata.num_row_groups)
            upload.check_unpacked(sum(file.metadata.row_group(group).total_byte_size for group in groups))
            if file.metadata.num_columns > _MAX_COLUMNS:
                raise self.invalid()
            upload.write(self.guarded(_rows(file)))
        return []

    def write(self, target: Path, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]]) -> None:
        """See `TableFormat`. Columns of numbers and dates get these types."""
        import pyarrow as pa  # noqa: PLC0415 - optional
        from pyarrow import parquet  # noqa: PLC0415

        if len(set(header)) < len(header):
            raise RequestRefused(
                "The table has two columns of the same name, which a Parquet file can't have.",
                fix="download it in another format.",
                code="repeated_column",
                title="Not possible as Parquet",
            )
        types = {
            TEXT: pa.string(),
            INTEGER: pa.int64(),
            NUMBER: pa.float64(),
            DATE: pa.date32(),
            DATETIME: pa.timestamp("us"),
        }
        kinds = column_kinds(len(header), rows())
        fields = [(name, types[kind]) for name, kind in zip(header, kinds, strict=True)]
        schema = pa.schema(fields)
        remaining = iter(rows())
        with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            while chunk := list(islice(remaining, _BATCH)):
                columns = [
                    pa.array([typed_cell(cell, kind) for cell in cells], type=field.type)
                    for cells, kind, field in zip(zip(*chunk, strict=True), kinds, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _rows(file: Any) -> Iterator[Sequence[Any]]:
    yield file.schema_arrow.names
    for batch in file.iter_batches(batch_size=_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
