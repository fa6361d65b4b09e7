"""A streaming CSV reader, which returns the error of a row that can't be read in its place, and a CSV writer."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import IO, TextIO

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError, TableUnreadable

UTF8 = "utf-8-sig"
NO_HEADER = "no_header"  # error code: the first line names no column of the model
_DELIMITERS = ",;\t"
_MAX_CELL = 1_000_000  # characters
_BOM = b"\xef\xbb\xbf"
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF16 = ("utf-16", "utf16", "utf-16-le", "utf-16le", "utf-16-be", "utf-16be")
_MAX_LINE = 8_000_000  # characters; a file with a longer line is not a CSV, and would fill the memory
# Lines after an unclosed quote are read again. A few such quotes cost little; in a malicious file, each line would be
# read once for every line before it.
_MAX_REREAD_RATIO = 10  # characters read again, per character of the file so far,
_REREAD_ALLOWANCE = 1_000_000  # plus this many
_MAX_COLUMNS = 20_000  # far more than the tables of models have
# Short rows are padded with empty cells. Many short rows under a wide header would turn a few megabytes into gigabytes.
# The limit allows about as many cells as the texts of the rows' errors have characters.
_MAX_FILL_RATIO = 100  # padded cells, per character of the file so far,
_FILL_ALLOWANCE = 1_000_000  # plus this many
_NOT_DECODED = re.compile("[\udc80-\udcff]")  # bytes that are invalid in the encoding (Python's surrogateescape)


@dataclass(frozen=True, slots=True)
class Row:
    """A row, with as many cells as the header; `error` is set if the row is refused."""

    cells: list[str]
    error: RecordError | None = None

    @property
    def size(self) -> int:
        """Approximate number of bytes."""
        return sum(map(len, self.cells)) + 3 * len(self.cells)


class CsvRows:
    """The rows of a CSV with a header, read as a stream.

    The delimiter is the comma, semicolon or tab that finds the most columns of the model in the header. Empty lines are
    skipped. An unclosed quote makes only its own line unreadable. A row of delimiters alone is an error, because a
    model would answer it with the means of its training data.

    Attributes:
        name: the name of the table, for messages.
        header: names of the columns.
        delimiter: the delimiter between cells.
        line_end: the line end of the header, assumed for the whole file.
    """

    _may_be_undecoded = False  # whether the text can contain bytes that are invalid in the encoding

    def __init__(
        self, text: TextIO, known: Collection[str], *, name: str = "the CSV", encoding_fix: str | None = None
    ) -> None:
        """Read the header.

        Args:
            text: opened with `newline=""`, which keeps line ends.
            known: names of the model's columns.
            name: the name of the table, for messages.
            encoding_fix: what to do with a table that is not in UTF-8; by default, names the option of `fastmar`.

        Raises:
            TableUnreadable: there is no header, it names no column of the model, repeats one, or has too many columns.
        """
        # The limit is global to the process, so it is never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
        self.name = name
        self._encoding_fix = encoding_fix or _SAVE_AS_UTF8
        self._lines = _Lines(text, name)
        self._filled = 0  # padded cells
        self.header, self.delimiter = self._read_header(known)
        self.line_end = "\r\n" if self._lines.last.endswith("\r\n") else "\n"

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows. Can be iterated once.

        Raises:
            TableUnreadable: a row is too long, too many quotes are unclosed, or too many cells are missing.
        """
        rows = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        while True:
            self._lines.start_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._unreadable(error)
                continue
            if cells:
                yield self._row(cells)

    def check_not_empty(self) -> None:
        """Check that there is a row, before the first one is read.

        Raises:
            TableUnreadable: there is no row.
        """
        if not self._lines.has_more():
            raise TableUnreadable(
                f"{self.name} has a header but no rows.",
                fix="add the rows below the header, one per line.",
                code="no_rows",
            )

    def _read_header(self, names: Collection[str]) -> tuple[list[str], str]:
        known = set(names)
        self._lines.skip_empty()
        headers = [(self._header(delimiter), delimiter) for delimiter in _DELIMITERS]
        header, delimiter = max(headers, key=lambda found: len(known & set(found[0])))
        if not known & set(header):
            line = self._lines.first_line()
            first = sorted(known) if isinstance(names, Set) else list(names)
            example = f"start the CSV with a header such as {','.join(first[:3])}."
            raise TableUnreadable(
                f"the first line names no column of the model: {short_repr(line)}."
                if line
                else f"{self.name} is empty.",
                fix=self._encoding_fix if "\0" in line else example,
                code=NO_HEADER,
            )
        if len(header) > _MAX_COLUMNS:
            raise TableUnreadable(
                f"the header of {self.name} has {len(header):,} columns.",
                fix=f"remove columns that the model does not need; at most {_MAX_COLUMNS:,} are read.",
            )
        twice = next((column for column, times in Counter(header).items() if times > 1 and column in known), None)
        if twice is not None:
            raise TableUnreadable(f"the header names {twice!r} twice.", fix="give each column a different name.")
        if any(map(_NOT_DECODED.search, header)):
            raise TableUnreadable(f"the header of {self.name} is not in UTF-8.", fix=self._encoding_fix)
        self._lines.start_row()
        next(csv.reader(self._lines, delimiter=delimiter, strict=True))
        return header, delimiter

    def _header(self, delimiter: str) -> list[str]:
        """The header split at one delimiter; its lines are put back afterwards."""
        self._lines.start_row()
        try:
            return next(csv.reader(self._lines, delimiter=delimiter, strict=True), [])
        except csv.Error:  # quotes that are invalid with this delimiter
            return []
        finally:
            self._lines.put_back()

    def _row(self, cells: list[str]) -> Row:
        error = None
        if len(cells) > 1 and not any(cells):
            error = RecordError(
                "empty_row", "the row has only empty cells.", fix="delete the row, or fill in its cells."
            )
        elif len(cells) != len(self.header):
            error = RecordError(
                "ragged_row",
                f"the row has {len(cells)} cells; the header has {len(self.header)}.",
                fix="give each row one cell per column; quote cells that contain the delimiter.",
            )
        if self._may_be_undecoded and not all(map(str.isascii, cells)) and any(map(_NOT_DECODED.search, cells)):
            error = RecordError("not_utf8", "the row is not in UTF-8.", fix=self._encoding_fix)
            cells = [_NOT_DECODED.sub("\ufffd", cell) for cell in cells]
        return Row(cells if len(cells) == len(self.header) else self._fit_to_header(cells), error)

    def _unreadable(self, error: csv.Error) -> Row:
        """The row of an unreadable line; the lines that csv.reader took for its continuation are read again."""
        line = self._lines.keep_first()
        message = f"line {self._lines.number} of the CSV can't be read ({error})."
        fix = "close each quote, double a quote inside a quoted cell, and keep cells under a million characters."
        cells = _NOT_DECODED.sub("\ufffd", line.rstrip("\r\n")).split(self.delimiter)
        return Row(self._fit_to_header(cells), RecordError("bad_row", message, fix=fix))

    def _fit_to_header(self, cells: list[str]) -> list[str]:
        """As many cells as the header has: surplus cells are joined into the last one, missing ones are empty."""
        width = len(self.header)
        if len(cells) > width:
            return [*cells[: width - 1], self.delimiter.join(cells[width - 1 :])]
        self._filled += width - len(cells)
        if self._filled > _MAX_FILL_RATIO * self._lines.read + _FILL_ALLOWANCE:
            raise TableUnreadable(
                f"too many rows have far fewer cells than the header of {self.name}, for example line "
                f"{self._lines.number}.",
                fix="give each row one cell per column, and check that the first line is the header.",
            )
        return cells + [""] * (width - len(cells))


_SAVE_AS_UTF8 = "save the file as UTF-8, or specify its encoding, such as --encoding cp1252 (encoding= in Python)."


def _open_text(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """The file as text; bytes that are invalid in the encoding become surrogates."""
    try:
        # surrogateescape can't represent invalid UTF-16 or UTF-32.
        errors = "replace" if encoding.startswith(("utf-16", "utf16", "utf-32", "utf32")) else "surrogateescape"
        return io.TextIOWrapper(file, encoding, errors=errors, newline="")
    except LookupError as error:
        raise TableUnreadable(f"the encoding {encoding!r} is unknown.", fix="use one such as cp1252.") from error


class CsvFile(CsvRows):
    """The rows of a file. A UTF-16 byte order mark overrides the default encoding.

    Attributes:
        has_bom: whether the file begins with a byte order mark.
    """

    _may_be_undecoded = True

    def __init__(
        self,
        file: IO[bytes],
        known: Collection[str],
        *,
        encoding: str = UTF8,
        name: str = "the CSV",
        encoding_fix: str | None = None,
    ) -> None:
        """Read the header; see `CsvRows`.

        Raises:
            TableUnreadable: see `CsvRows`; or the encoding is unknown.
        """
        self._file = file
        encoding = encoding.lower().replace("_", "-")
        if encoding in ("utf-8", "utf8"):
            encoding = UTF8
        start = file.read(len(_BOM))
        file.seek(0)
        is_utf16 = start.startswith(_BOMS_16) and encoding in (UTF8, *_UTF16)
        self.has_bom = is_utf16 or (encoding == UTF8 and start == _BOM)
        self._text = _open_text(file, "utf-16" if is_utf16 else encoding)
        super().__init__(self._text, known, name=name, encoding_fix=encoding_fix)

    @property
    def position(self) -> int:
        """Number of bytes read so far, a few kilobytes ahead of the rows that were yielded."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._text.close()


class _Lines:
    """The lines of a file for csv.reader; the lines of the current row can be put back."""

    def __init__(self, text: TextIO, name: str) -> None:
        self.number = 0  # of the last line returned
        self.read = 0  # characters read from the file
        self._text = text
        self._name = name
        self._taken: list[str] = []
        self._size = 0  # characters of the lines of this row
        self._ahead: deque[str] = deque()
        self._reread = 0  # characters that were put back

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._ahead:
            line = self._ahead.popleft()
        else:
            line = self._text.readline(_MAX_LINE)
            line = line if self.read else line.removeprefix("\ufeff")
            self.read += len(line)
        if not line:
            raise StopIteration
        self._size += len(line)
        if self._size >= _MAX_LINE:  # cells with line ends can make a row of many short lines
            what = (
                f"line {self.number + 1}" if len(line) == _MAX_LINE else f"the row that ends in line {self.number + 1}"
            )
            raise TableUnreadable(
                f"{what} of {self._name} is longer than {_MAX_LINE:,} characters.",
                fix="check that the file is a CSV.",
            )
        self.number += 1
        self._taken.append(line)
        return line

    @property
    def last(self) -> str:
        """The last line returned."""
        return self._taken[-1] if self._taken else ""

    def start_row(self) -> None:
        """Start a new row."""
        self._taken.clear()
        self._size = 0

    def put_back(self, kept: int = 0) -> None:
        """Return the lines of this row again, except the first `kept` ones.

        Raises:
            TableUnreadable: too many characters were put back.
        """
        back = self._taken[kept:]
        del self._taken[kept:]
        self._ahead.extendleft(reversed(back))
        self.number -= len(back)
        self._reread += sum(map(len, back))
        if self._reread > _MAX_REREAD_RATIO * self.read + _REREAD_ALLOWANCE:
            raise TableUnreadable(
                f"too many quotes in {self._name} are never closed, for example in line {self.number}.",
                fix="close each quote, and double a quote inside a quoted cell.",
            )

    def keep_first(self) -> str:
        """The first line of this row; the others are put back."""
        self.put_back(1)
        return self._taken[0]

    def first_line(self) -> str:
        """The next line, without its line end."""
        return self._ahead[0].rstrip("\r\n") if self._ahead else ""

    def has_more(self) -> bool:
        """Whether a non-empty line is left."""
        self.start_row()
        self.skip_empty()
        return bool(self._ahead)

    def skip_empty(self) -> None:
        """Skip empty lines."""
        for line in self:
            if line.strip("\r\n"):
                self.put_back(len(self._taken) - 1)
                return


class CsvWriter:
    """Writes rows as CSV text."""

    def __init__(self, delimiter: str = ",", line_end: str = "\n") -> None:
        self._buffer = _LineBuffer(line_end)
        # Some versions of Python's csv quote only cells that contain a character of the line terminator. With "\r\n",
        # cells with either character are quoted.
        self._writer = csv.writer(self._buffer, delimiter=delimiter, lineterminator="\r\n")

    def text(self, rows: Iterable[Sequence[str]]) -> str:
        """The CSV lines of `rows`."""
        self._buffer.lines.clear()
        self._writer.writerows(rows)
        return "".join(self._buffer.lines)


class _LineBuffer:
    """Collects the lines of csv.writer, with the requested line end."""

    def __init__(self, line_end: str) -> None:
        self.lines: list[str] = []
        self._line_end = line_end

    def write(self, line: str) -> None:
        self.lines.append(line[:-2] + self._line_end)
