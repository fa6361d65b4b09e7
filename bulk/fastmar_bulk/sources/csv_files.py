"""CSV files, by the rules of `fastmar_contract.csv_rows`.

Where these rules and those of Arrow's fast parser have the same result, blocks of the file are parsed by Arrow in the
workers: in files in UTF-8 whose quotes, if any, enclose whole cells without quotes and line ends. A block with a row
that our rules refuse, and all other files, are parsed by `CsvFile`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fastmar_bulk.sources import STDIN, Chunk, Reading, Source, is_compressed, table_errors, unreadable
from fastmar_bulk.sources.json_lines import open_stream, position_share
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.csv_rows import UTF8, CsvFile, Row
from fastmar_contract.errors import RecordError
from fastmar_contract.urls import is_url

_BOM = b"\xef\xbb\xbf"
_SCANNED = 1 << 20  # bytes that are searched for quotes at a time; more than _MAX_CELL
_MAX_CELL = 1_000_000  # characters of a line that certainly has no longer cell
_ROW_BYTES = 64  # the smallest assumed size of a row, which limits the bytes of a block
_SIMPLE = rb'(?:^|(?<=%b))"[^"\r\n]*"(?=[\r\n%b])'  # a quoted cell, between delimiters or line ends

_EMPTY = rb'^["%b]+\r?$'  # a row of empty cells


@dataclass(frozen=True, slots=True)
class _Body:
    """The rows of a file that Arrow can parse: the line of the header, the position of the next one."""

    header: bytes
    start: int
    has_quotes: bool


class _Csv:
    """See `Source`."""

    bytes_columns = ()

    def __init__(self, path: str, reading: Reading) -> None:
        self._path = path
        self._rows = reading.rows
        self._encoding = reading.encoding
        self._known = list(dict.fromkeys(reading.known))
        self._file = _open(path)
        try:
            with self._errors():
                self._csv = self._open_rows(self._file)
                self._csv.check_not_empty()
        except CsvUnreadable:
            self._file.close()
            raise
        self.names = self._csv.header
        self.delimiter, self.line_end = self._csv.delimiter, self._csv.line_end
        self.bom = "\ufeff" if self._csv.has_bom else ""

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """See `Source`."""
        columns = [name for name in self.names if name in set(wanted)]
        with self._errors():
            if self._may_be_simple() and (body := self._simple_body()) is not None:
                yield from self._fast_chunks(columns, body)
            else:
                yield from self._slow_chunks(columns)

    def close(self) -> None:
        """See `Source`."""
        self._file.close()

    def _slow_chunks(self, columns: list[str]) -> Iterator[Chunk]:
        rows = iter(self._csv)
        while part := list(islice(rows, self._rows)):
            yield Chunk(partial(_table_of_rows, part, self.names, columns), position_share(self._file))

    def _fast_chunks(self, columns: list[str], body: _Body) -> Iterator[Chunk]:
        """Blocks of whole lines, so large that they have about the requested number of rows."""
        with open_stream(self._path) as file:
            file.seek(body.start)
            rest, size = b"", 0
            while block := file.read(size or self._rows * _ROW_BYTES):
                block, _, rest = (rest + block).rpartition(b"\n")
                if block:
                    size = size or max(1, len(block) * self._rows // (block.count(b"\n") + 1))
                    yield Chunk(partial(self._parse, block + b"\n", body, columns), position_share(file))
            if rest.strip(b"\r\n"):
                yield Chunk(partial(self._parse, rest + b"\n", body, columns), 1.0)

    def _may_be_simple(self) -> bool:
        is_file = not _is_stream(self._path)
        is_utf8 = self._encoding.lower().replace("_", "-") in (UTF8, "utf-8", "utf8")
        return is_file and is_utf8 and len(set(self.names)) == len(self.names)

    def _simple_body(self) -> _Body | None:
        """The rows if Arrow splits all of them as `csv_rows` does, except rows that this refuses."""
        with open_stream(self._path) as file:
            start = file.read(_MAX_CELL)
            header = start.removeprefix(_BOM).lstrip(b"\r\n").partition(b"\n")[0]
            position = start.find(header) + len(header) + 1
            names = header.rstrip(b"\r").split(self.delimiter.encode())
            if b'"' in header or names != [name.encode() for name in self.names]:
                return None
            file.seek(position)
            simple = re.compile(_SIMPLE.replace(b"%b", self.delimiter.encode()), re.MULTILINE)
            quoted, rest = False, b""
            while block := file.read(_SCANNED):
                block, line_end, rest = (rest + block).rpartition(b"\n")
                if len(rest) > _MAX_CELL or not _is_simple(block + line_end, simple):
                    return None
                quoted = quoted or b'"' in block
            if not _is_simple(rest + b"\n", simple):
                return None
        return _Body(header + b"\n", position, quoted or b'"' in rest)

    def _parse(self, block: bytes, body: _Body, columns: list[str]) -> Table:
        """A block of whole lines."""
        empty = b"\n" + self.delimiter.encode() * (len(self.names) - 1)
        has_empty_row = len(empty) > 1 and any(empty + end in b"\n" + block for end in (b"\n", b"\r\n"))
        if body.has_quotes and b'""' in block:  # empty cells
            has_empty_row = bool(re.search(_EMPTY.replace(b"%b", self.delimiter.encode()), block, re.MULTILINE))
        if not has_empty_row and (block.isascii() or _is_utf8(block)):
            parsing = csv.ParseOptions(
                delimiter=self.delimiter, quote_char='"' if body.has_quotes else False, double_quote=False
            )
            try:
                table = csv.read_csv(
                    pa.BufferReader(block),
                    csv.ReadOptions(column_names=self.names, use_threads=False, block_size=len(block) + 1),
                    parsing,
                    csv.ConvertOptions(
                        column_types=dict.fromkeys(self.names, pa.string()), include_columns=columns or self.names[:1]
                    ),
                )
            except pa.ArrowInvalid:  # a row with another number of cells
                pass
            else:
                arrays = [column.combine_chunks() for column in table.columns]
                return Table(dict(zip(table.column_names, arrays, strict=True)), table.num_rows, is_text=True)
        with self._errors():
            rows = list(self._open_rows(io.BytesIO(body.header + block)))
        return _table_of_rows(rows, self.names, columns)

    def _open_rows(self, file: IO[bytes]) -> CsvFile:
        return CsvFile(file, self._known, encoding=self._encoding, name=self._path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with table_errors():
                yield
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._path, error) from error


def _is_simple(block: bytes, simple: re.Pattern[bytes]) -> bool:
    """Whether Arrow and `csv_rows` split the lines of a block into the same cells."""
    if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return False
    if b'"' in block and block.count(b'"') != 2 * sum(1 for _ in simple.finditer(block)):
        return False
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(block))
    return bool(lengths.max() < _MAX_CELL)


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _table_of_rows(rows: Sequence[Row], names: Sequence[str], columns: Sequence[str]) -> Table:
    faults: dict[int, RecordError] = {row: each.error for row, each in enumerate(rows) if each.error is not None}
    cells = list(zip(*(row.cells for row in rows), strict=True)) or [()] * len(names)
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(names, cells, strict=True)}
    return Table({name: arrays[name] for name in columns}, len(rows), is_text=True, faults=faults)


class _Stream(io.BufferedIOBase):
    """A pipe or a compressed file; can be rewound once, before more than its start is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self._start = b""
        self._is_rewound = False

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        if self._is_rewound and self._start:
            found = self._start if wanted < 0 else self._start[:wanted]
            self._start = self._start[len(found) :]
            return found + self.stream.read() if wanted < 0 else found
        found = self.stream.read(wanted)
        if not self._is_rewound:
            self._start += found
        return found

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:  # noqa: ARG002
        self._is_rewound = True
        return 0


def _is_stream(path: str) -> bool:
    """Whether the file is read once, from its start: others are searched for quotes first."""
    return path == STDIN or is_compressed(path) or is_url(path)


def _open(path: str) -> IO[bytes]:
    if path == STDIN:
        return _Stream(open(0, "rb", closefd=False))  # type: ignore[return-value]
    if _is_stream(path):
        return _Stream(open_stream(path))  # type: ignore[return-value]
    return open_stream(path)


def open_source(path: str, reading: Reading) -> Source:
    """See `sources.open_source`."""
    return _Csv(path, reading)
