"""JSON lines: records, which may have different keys."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import IO

import pyarrow as pa

from fastmar_bulk.sources import Chunk, Reading, Source, compression_of, is_compressed, unreadable
from fastmar_bulk.stores import RemoteFile, open_file
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.errors import RecordError
from fastmar_contract.urls import is_url
from fastmar_contract.values import not_an_object
from fastmar_runtime.bodies.json_text import read_line
from fastmar_runtime.columns import MISSING

_SAMPLED = 1000  # lines whose keys are the columns to keep
_MAX_LINE = 8_000_000  # characters


class _JsonLines:
    """See `Source`. Its columns are the keys of the first lines."""

    delimiter, line_end, bom = ",", "\n", ""
    bytes_columns = ()

    def __init__(self, path: str, reading: Reading) -> None:
        self._path = path
        self._rows = reading.rows
        with closing(self._lines()) as lines:
            sample = [read_line(line, number) for number, line in islice(lines, _SAMPLED)]
        self.names = list(dict.fromkeys(key for each in sample if isinstance(each, dict) for key in each))

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """See `Source`."""
        with closing(self._lines()) as lines:
            while chunk := list(islice(lines, self._rows)):
                yield Chunk(partial(_table, chunk, list(wanted)), self._share)

    def close(self) -> None:
        """See `Source`."""

    def _lines(self) -> Generator[tuple[int, str], None, None]:
        """The numbered lines that are not empty."""
        try:
            with open_stream(self._path) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="\n") as text:
                number = 0
                while line := text.readline(_MAX_LINE):
                    number += 1
                    if len(line) == _MAX_LINE:
                        raise CsvUnreadable(
                            f"line {number} of {self._path} is longer than {_MAX_LINE:,} characters.",
                            fix="write one record per line.",
                        )
                    if line.strip():
                        self._share = position_share(file)
                        yield number, line
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._path, error) from error


def open_stream(path: str) -> IO[bytes]:
    """A file, uncompressed by the ending of its name."""
    if not is_compressed(path):
        return open_file(path)
    source = open_file(path) if is_url(path) else path
    stream: IO[bytes] = pa.input_stream(source, compression=compression_of(path), buffer_size=1 << 20)
    return stream


def position_share(file: IO[bytes]) -> float:
    """The share of a file that was read; 0 for a stream."""
    file = getattr(file, "stream", file)
    try:
        size = file.size if isinstance(file, RemoteFile) else os.fstat(file.fileno()).st_size
        return min(file.tell() / max(size, 1), 1.0)
    except (OSError, AttributeError, NotImplementedError):
        return 0.0


def _table(lines: list[tuple[int, str]], names: Sequence[str]) -> Table:
    records = [read_line(line, number) for number, line in lines]
    faults: dict[int, RecordError] = {}
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            faults[row] = record if isinstance(record, RecordError) else not_an_object(record)
            records[row] = {}
    columns = {name: [record.get(name, MISSING) for record in records] for name in names}
    columns = {name: values for name, values in columns.items() if any(value is not MISSING for value in values)}
    return Table(columns, len(records), faults=faults)


def open_source(path: str, reading: Reading) -> Source:
    """See `sources.open_source`."""
    return _JsonLines(path, reading)
