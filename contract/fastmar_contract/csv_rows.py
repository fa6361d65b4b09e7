"""Rows of a CSV of any size, a few at a time; a row that can't be read comes with its error."""

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
NO_HEADER = "no_header"  # code of the error for a table whose first line names no column of the model
_DELIMITERS = ",;\t"
_MAX_CELL = 1_000_000  # characters
_BOM = b"\xef\xbb\xbf"
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF16 = ("utf-16", "utf16", "utf-16-le", "utf-16le", "utf-16-be", "utf-16be")
_MAX_LINE = 8_000_000  # characters: what has none of a file's line ends is no CSV, and would fill the memory
# Lines behind a quote that is never closed are read again. That is little in a file with some such quotes; in one that
# was made for it, each line would be read once for every line before it.
_MAX_REREAD_RATIO = 10  # times as many characters as the file had so far,
_REREAD_ALLOWANCE = 1_000_000  # and so many more
_MAX_COLUMNS = 20_000  # far more than any table has that a model reads
# Rows that are too short are filled up with empty cells. A wide header over many of them would make gigabytes out of a
# few megabytes; this allows about as many cells as the text of the rows' errors has characters.
_MAX_FILL_RATIO = 100  # times as many cells as the file had characters so far,
_FILL_ALLOWANCE = 1_000_000  # and so many more
_NOT_DECODED = re.compile("[\udc80-\udcff]")  # how Python represents bytes that are not in the encoding


@dataclass(frozen=True, slots=True)
class Row:
    """A row, with as many cells as the header has; or the `error` that it is answered with instead."""

    cells: list[str]
    error: RecordError | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(map(len, self.cells)) + 3 * len(self.cells)


class CsvRows:
    """The rows of a CSV with a header, in order, read as a stream.

    The delimiter is the comma, semicolon or tab that splits the header into most columns of the model. Empty lines are
    no rows. A quote that is never closed makes its own line unreadable, not those after it. A row of delimiters alone
    is an error, since a model would answer it from the means of its training.

    Attributes:
        name: of the table, for messages.
        header: the columns' names.
        delimiter: between cells.
        line_end: of the header, which is taken for that of the file.
    """

    _may_be_undecoded = False  # whether bytes that are not in the encoding can stand in the text

    def __init__(self, text: TextIO, known: Collection[str], *, name: str = "the CSV") -> None:
        """Read the header; `known` are the names of the model's columns, `text` keeps its line ends (newline="").

        Raises:
            TableUnreadable: there is no header, or it names no column of the model, or one of them twice, or too many.
        """
        # Python's limit is one for the whole process, so that it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
        self.name = name
        self._lines = _Lines(text, name)
        self._filled = 0  # cells that rows were short of
        self.header, self.delimiter = self._read_header(known)
        self.line_end = "\r\n" if self._lines.last.endswith("\r\n") else "\n"

    def __iter__(self) -> Iterator[Row]:
        """The rows. Can be iterated once.

        Raises:
            TableUnreadable: a row is too long, too many quotes are never closed, or too many cells are missing.
        """
        rows = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        while True:
            self._lines.begin()
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
            TableUnreadable: there is none.
        """
        if not self._lines.has_more():
            raise TableUnreadable(
                f"there is no row behind the header of {self.name}.",
                fix="give each row a line of its own, below the header.",
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
            example = f"begin the CSV with a header such as {','.join(first[:3])}."
            raise TableUnreadable(
                f"the first line is {short_repr(line)}, which names no column of the model.",
                fix=_SAVE_AS_UTF8 if "\0" in line else example,
                code=NO_HEADER,
            )
        if len(header) > _MAX_COLUMNS:
            raise TableUnreadable(
                f"the header of {self.name} has {len(header):,} columns.",
                fix=f"take out columns that the model does not need, until there are at most {_MAX_COLUMNS:,}.",
            )
        twice = next((column for column, times in Counter(header).items() if times > 1 and column in known), None)
        if twice is not None:
            raise TableUnreadable(f"the header names {twice!r} twice.", fix="give each column a name of its own.")
        if any(map(_NOT_DECODED.search, header)):
            raise TableUnreadable(f"the header of {self.name} is not in UTF-8.", fix=_SAVE_AS_UTF8)
        self._lines.begin()
        next(csv.reader(self._lines, delimiter=delimiter, strict=True))
        return header, delimiter

    def _header(self, delimiter: str) -> list[str]:
        """The header split at one delimiter; its lines are read again afterwards."""
        self._lines.begin()
        try:
            return next(csv.reader(self._lines, delimiter=delimiter, strict=True), [])
        except csv.Error:  # quotes that make no sense with this delimiter
            return []
        finally:
            self._lines.put_back()

    def _row(self, cells: list[str]) -> Row:
        error = None
        if len(cells) > 1 and not any(cells):
            error = RecordError(
                "empty_row", "the row is empty: it has delimiters alone.", fix="delete the row, or fill in its cells."
            )
        elif len(cells) != len(self.header):
            error = RecordError(
                "ragged_row",
                f"the row has {len(cells)} cells where the header has {len(self.header)}.",
                fix="give each row a cell for each column; quote cells that hold the delimiter.",
            )
        if self._may_be_undecoded and not all(map(str.isascii, cells)) and any(map(_NOT_DECODED.search, cells)):
            error = RecordError("not_utf8", "the row is not in UTF-8.", fix=_SAVE_AS_UTF8)
            cells = [_NOT_DECODED.sub("\ufffd", cell) for cell in cells]
        return Row(cells if len(cells) == len(self.header) else self._at_header_width(cells), error)

    def _unreadable(self, error: csv.Error) -> Row:
        """The error of one line; the lines that csv.reader took for its continuation are read again."""
        line = self._lines.keep_first()
        message = f"line {self._lines.number} of the CSV can't be read ({error})."
        fix = "close each quote, double a quote inside a quoted cell, and keep cells under a million characters."
        cells = _NOT_DECODED.sub("\ufffd", line.rstrip("\r\n")).split(self.delimiter)
        return Row(self._at_header_width(cells), RecordError("bad_row", message, fix=fix))

    def _at_header_width(self, cells: list[str]) -> list[str]:
        """As many cells as the header has: the last one holds those that are too many."""
        width = len(self.header)
        if len(cells) > width:
            return [*cells[: width - 1], self.delimiter.join(cells[width - 1 :])]
        self._filled += width - len(cells)
        if self._filled > _MAX_FILL_RATIO * self._lines.read + _FILL_ALLOWANCE:
            raise TableUnreadable(
                f"too many rows have far fewer cells than the header of {self.name}, one of them in line "
                f"{self._lines.number}.",
                fix="give each row a cell for each column, and check that the first line is the header.",
            )
        return cells + [""] * (width - len(cells))


_SAVE_AS_UTF8 = "save the file as UTF-8, or name its encoding, such as cp1252 or utf-16-le."


def _decoded(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """The file as text, in which bytes that are not in the encoding stay visible."""
    try:
        # What does not decode as UTF-16 or UTF-32 has no bytes of its own that could be kept.
        errors = "replace" if encoding.startswith(("utf-16", "utf16", "utf-32", "utf32")) else "surrogateescape"
        return io.TextIOWrapper(file, encoding, errors=errors, newline="")
    except LookupError as error:
        raise TableUnreadable(f"there is no encoding {encoding!r}.", fix="name one such as cp1252.") from error


class CsvFile(CsvRows):
    """The rows of a file. A file with a byte order mark of UTF-16 is read as UTF-16.

    Attributes:
        has_bom: whether the file begins with a byte order mark.
    """

    _may_be_undecoded = True

    def __init__(self, file: IO[bytes], known: Collection[str], *, encoding: str = UTF8, name: str = "the CSV") -> None:
        """Reads the header; see `CsvRows`.

        Raises:
            TableUnreadable: as `CsvRows` has it; or there is no such encoding.
        """
        self._file = file
        encoding = encoding.lower().replace("_", "-")
        if encoding in ("utf-8", "utf8"):
            encoding = UTF8
        begins = file.read(len(_BOM))
        file.seek(0)
        is_utf16 = begins.startswith(_BOMS_16) and encoding in (UTF8, *_UTF16)
        self.has_bom = is_utf16 or (encoding == UTF8 and begins == _BOM)
        self._text = _decoded(file, "utf-16" if is_utf16 else encoding)
        super().__init__(self._text, known, name=name)

    @property
    def position(self) -> int:
        """Bytes that were read so far, a few kilobytes more than the rows that were handed out."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._text.close()


class _Lines:
    """A file's lines for csv.reader, which remembers those that a row took and can have them back."""

    def __init__(self, text: TextIO, name: str) -> None:
        self.number = 0  # of the line that was handed out last
        self.read = 0  # characters, out of the file
        self._text = text
        self._name = name
        self._taken: list[str] = []
        self._size = 0  # of the lines that this row took
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
        if self._size >= _MAX_LINE:  # a row whose cells hold line ends may take many lines, each of them short
            what = (
                f"line {self.number + 1}" if len(line) == _MAX_LINE else f"the row that ends in line {self.number + 1}"
            )
            raise TableUnreadable(
                f"{what} of {self._name} is over {_MAX_LINE:,} characters long.",
                fix="check that the file is a CSV.",
            )
        self.number += 1
        self._taken.append(line)
        return line

    @property
    def last(self) -> str:
        """The line that was handed out last."""
        return self._taken[-1] if self._taken else ""

    def begin(self) -> None:
        """A new row begins."""
        self._taken.clear()
        self._size = 0

    def put_back(self, kept: int = 0) -> None:
        """Hand out the lines of this row again, but for the first `kept` ones.

        Raises:
            TableUnreadable: that was done too often.
        """
        back = self._taken[kept:]
        del self._taken[kept:]
        self._ahead.extendleft(reversed(back))
        self.number -= len(back)
        self._reread += sum(map(len, back))
        if self._reread > _MAX_REREAD_RATIO * self.read + _REREAD_ALLOWANCE:
            raise TableUnreadable(
                f"too many quotes of {self._name} are never closed, one of them in line {self.number}.",
                fix="close each quote, and double a quote inside a quoted cell.",
            )

    def keep_first(self) -> str:
        """The first line of this row; the others are handed out again."""
        self.put_back(1)
        return self._taken[0]

    def first_line(self) -> str:
        """The line that comes next, without its end."""
        return self._ahead[0].rstrip("\r\n") if self._ahead else ""

    def has_more(self) -> bool:
        """Whether there is a line left that has something in it."""
        self.begin()
        self.skip_empty()
        return bool(self._ahead)

    def skip_empty(self) -> None:
        """Go to the first line that has something in it."""
        for line in self:
            if line.strip("\r\n"):
                self.put_back(len(self._taken) - 1)
                return


class CsvWriter:
    """Rows as the text of a CSV."""

    def __init__(self, delimiter: str = ",", line_end: str = "\n") -> None:
        self._written = _Written(line_end)
        # With both characters as the line's end, cells that hold either are quoted; some versions of Python's csv look
        # for those of the line's end alone.
        self._writer = csv.writer(self._written, delimiter=delimiter, lineterminator="\r\n")

    def text(self, rows: Iterable[Sequence[str]]) -> str:
        """The lines of some rows."""
        self._written.lines.clear()
        self._writer.writerows(rows)
        return "".join(self._written.lines)


class _Written:
    """What csv wrote, with the line's end that is wanted."""

    def __init__(self, line_end: str) -> None:
        self.lines: list[str] = []
        self._line_end = line_end

    def write(self, line: str) -> None:
        self.lines.append(line[:-2] + self._line_end)
