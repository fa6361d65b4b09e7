"""What the formats of tables have in common. Each format is one module; `fastmar_web.tables.files` lists them."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

from fastmar_contract.csv_rows import CsvWriter
from fastmar_web.errors import RequestRefused
from fastmar_web.presentation import format_size
from fastmar_web.tables.files.cells import cell_text
from fastmar_web.tables.storage import storage_errors

ROWS_PER_REPORT = 1000
UNPACKED = 5  # largest size of an unpacked file, as a multiple of the largest table


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file, to be written as a CSV file in UTF-8.

    Attributes:
        source: the file.
        target: the CSV file.
        known: names of the model's columns.
        max_bytes: largest CSV file.
        on_row: a function that is called regularly with the number of rows; an exception ends the work.
    """

    source: Path
    target: Path
    known: Collection[str]
    max_bytes: int
    on_row: Callable[[int], None]

    def check_unpacked(self, size: int) -> None:
        """Check the unpacked size of the file, before it is unpacked.

        Raises:
            RequestRefused: it is too large.
        """
        limit = UNPACKED * self.max_bytes
        if size > limit:
            raise RequestRefused(
                f"The file has {format_size(size)} when it is unpacked; the limit is {format_size(limit)}.",
                fix="send it in parts, or as a CSV file.",
                code="unpacked_too_large",
                status=413,
                title="Too large",
            )

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of values to the CSV file.

        Raises:
            RequestRefused: the CSV file gets too large.
            Unavailable: it can't be written.
        """
        with storage_errors(), self.target.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = CsvWriter()
            for number, row in enumerate(rows):
                file.write(writer.text([[cell_text(value) for value in row]]))
                if number % ROWS_PER_REPORT == 0:
                    self.on_row(number)
                    self._check_size(file)
            self._check_size(file)

    def _check_size(self, file: IO[str]) -> None:
        if file.tell() > self.max_bytes:
            raise RequestRefused(
                f"As a CSV file, the table has more than {format_size(self.max_bytes)}, which is the limit.",
                fix="send it in parts.",
                code="table_too_large",
                status=413,
                title="Too large",
            )


class TableFormat(ABC):
    """A format of tables.

    Attributes:
        name: its name on the pages.
        extension: the extension of files of this format, without the dot.
        media_type: the media type of files of this format.
        module: the package that reads and writes it; empty for none.
    """

    name: ClassVar[str]
    extension: ClassVar[str]
    media_type: ClassVar[str]
    module: ClassVar[str] = ""

    @property
    def is_available(self) -> bool:
        """Whether the package is installed."""
        return not self.module or importlib.util.find_spec(self.module) is not None

    @abstractmethod
    def is_begin(self, start: bytes) -> bool:
        """Whether a file with these first bytes has this format."""

    @abstractmethod
    def convert(self, upload: Upload) -> list[str]:
        """Write an uploaded file as a CSV file; returns remarks for the visitor.

        Raises:
            RequestRefused: the file is invalid or too large.
        """

    @abstractmethod
    def write(self, target: Path, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]]) -> None:
        """Write a table whose cells are those of a CSV file. `rows` may be called several times.

        Raises:
            RequestRefused: the table does not fit in this format.
        """

    def guarded(self, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows; an error while they are read becomes an error for the visitor.

        Raises:
            RequestRefused: the file is invalid.
        """
        try:
            yield from rows
        except RequestRefused:
            raise
        except Exception as error:  # a parser of foreign files raises many kinds
            raise self.invalid() from error

    def invalid(self) -> RequestRefused:
        """The error for a file that can't be read."""
        return RequestRefused(
            f"The {self.name} file can't be read: it is damaged, or has an unknown feature.",
            fix="save it again, or save it as a CSV file.",
            code="damaged_file",
            title="The file can't be read",
        )


class CsvFormat(TableFormat):
    """CSV files, which need no conversion."""

    name = "CSV"
    extension = "csv"
    media_type = "text/csv"

    def is_begin(self, start: bytes) -> bool:  # noqa: ARG002 - any file that is no other
        """See `TableFormat`."""
        return True

    def convert(self, upload: Upload) -> list[str]:
        """See `TableFormat`."""
        upload.source.rename(upload.target)
        return []

    def write(self, target: Path, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]]) -> None:
        """See `TableFormat`."""
        with target.open("w", encoding="utf-8", newline="") as file:
            file.write(CsvWriter().text([header]))
            for row in rows():
                file.write(CsvWriter().text([row]))
