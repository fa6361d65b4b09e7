"""Parquet and Arrow IPC files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fastmar_bulk.frames import check_names
from fastmar_bulk.sources import Chunk, Reading, Source, ending, unreadable
from fastmar_bulk.stores import open_file
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.urls import is_url
from fastmar_contract.values import CATEGORY, DATE
from fastmar_runtime.spec import Spec

_BUFFER = 1 << 20  # bytes of a column that are read at a time: column chunks can be large


class _ArrowSource:
    """See `Source`."""

    delimiter, line_end, bom = ",", "\n", ""

    def __init__(self, path: str, file: Any, schema: pa.Schema, reading: Reading) -> None:
        self._file: Any = file
        self.names = list(schema.names)
        self.bytes_columns = [field.name for field in schema if has_bytes(field.type)]
        try:
            check_names(self.names)
        except TableUnreadable as error:
            raise CsvUnreadable(error.message.replace("the table", path, 1), fix=error.fix) from error
        self._path = path
        self._rows = reading.rows

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """See `Source`."""
        try:
            yield from self._chunks(wanted)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self._path, error) from error

    def close(self) -> None:
        """See `Source`."""
        self._file.close()

    def _chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        raise NotImplementedError

    def _split(self, batch: pa.RecordBatch, share: float) -> Iterator[Chunk]:
        columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
        for part in Table(columns, batch.num_rows).slices(self._rows):
            yield Chunk(lambda part=part: part, share)  # type: ignore[misc]


def coded_columns(spec: Spec) -> list[str]:
    """The columns that are read as dictionaries, as they are stored. Large strings become strings."""
    return [field.name for field in spec.fields if field.kind in (CATEGORY, DATE)]


def has_bytes(kind: Any) -> bool:
    """Whether values are bytes, or Hugging Face's pictures with their bytes."""
    if pa.types.is_struct(kind):
        return any(has_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class _Parquet(_ArrowSource):
    def __init__(self, path: str, reading: Reading) -> None:
        coded = coded_columns(reading.spec)
        opened = open_file(path) if is_url(path) else path
        file = pq.ParquetFile(opened, read_dictionary=coded, pre_buffer=False, buffer_size=_BUFFER)
        super().__init__(path, file, file.schema_arrow, reading)

    def _chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        total = max(self._file.metadata.num_rows, 1)
        done = 0
        for batch in self._file.iter_batches(self._rows, columns=[n for n in self.names if n in set(wanted)]):
            done += batch.num_rows
            yield from self._split(batch, done / total)


class _Ipc(_ArrowSource):
    def __init__(self, path: str, reading: Reading) -> None:
        file = pa.PythonFile(open_file(path)) if is_url(path) else pa.memory_map(path)
        try:
            self._reader = pa.ipc.open_file(file)
        except pa.ArrowInvalid:  # a stream
            file.seek(0)
            self._reader = pa.ipc.open_stream(file)
        super().__init__(path, file, self._reader.schema, reading)

    def _chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        kept = [name for name in self.names if name in set(wanted)]
        count = getattr(self._reader, "num_record_batches", None)
        batches = self._reader if count is None else map(self._reader.get_batch, range(count))
        for number, batch in enumerate(batches, 1):
            share = number / count if count else self._file.tell() / max(self._file.size(), 1)
            yield from self._split(batch.select(kept), share)


def open_source(path: str, reading: Reading) -> Source:
    """See `sources.open_source`."""
    try:
        return _Parquet(path, reading) if ending(path) in (".parquet", ".pq") else _Ipc(path, reading)
    except pa.ArrowException as error:
        raise unreadable(path, error) from error
