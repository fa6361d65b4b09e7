"""Excel files (.xlsx)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Any

from fastmar_web.errors import RequestRefused
from fastmar_web.tables.files.base import TableFormat, Upload
from fastmar_web.tables.files.cells import cell_text, column_kinds, typed_cell

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384  # of a sheet, as Excel has them
MAX_CELL = 32_767  # characters
MAX_CELLS = 50_000_000  # that are read; gaps between cells count
HEADER_ROWS = 100  # a header is searched in the first rows
_OLE = b"\xd0\xcf\x11\xe0"  # .xls files, and .xlsx files with a password
_FIRST_DATE = date(1900, 3, 1)  # before it, Excel counts a day that did not exist
_LARGEST = 9.99999999999999e307  # number
_FORMULA = re.compile(rb"<(\w+:)?f[\s/>]")
# In the XML, _x000D_ is a carriage return, and _x005F_x000D_ the text "_x000D_".
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_TO_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_SHARED_STRINGS = "xl/sharedStrings.xml"
_CHUNK = 1 << 20


class ExcelFormat(TableFormat):
    """Excel files (.xlsx). A formula counts as its saved value; one sheet is read."""

    name = "Excel"
    extension = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    module = "openpyxl"

    def is_begin(self, start: bytes) -> bool:
        """See `TableFormat`."""
        return start.startswith((b"PK\x03\x04", _OLE))

    def convert(self, upload: Upload) -> list[str]:
        """See `TableFormat`. The first visible sheet whose header names a column of the model is read."""
        self._check_zip(upload)
        with self._opened(upload.source, data_only=True) as book:
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            if not sheets:
                raise self.invalid()
            headers = [next(self.guarded(_filled(_rows(sheet))), ()) for sheet in sheets]
            matches = [bool(set(map(cell_text, header)) & set(upload.known)) for header in headers]
            sheet = sheets[matches.index(True) if any(matches) else 0]
            if _has_formulas(upload.source):
                with self._opened(upload.source, data_only=False) as other:
                    upload.write(self.guarded(_table(_checked(sheet, other[sheet.title]))))
            else:
                upload.write(self.guarded(_table(_rows(sheet))))
            others = [f"“{each.title}”" for each in book.worksheets if each is not sheet]
        return [f"Read from the sheet “{sheet.title}”. Not read: {', '.join(others[:5])}."] if others else []

    @contextmanager
    def _opened(self, path: Path, *, data_only: bool) -> Iterator[Any]:
        """A workbook whose cells are the values of formulas (`data_only`) or the formulas.

        Raises:
            RequestRefused: it can't be read.
        """
        import openpyxl  # noqa: PLC0415 - optional

        with path.open("rb") as file:
            try:
                book = openpyxl.load_workbook(file, read_only=True, data_only=data_only)
            except Exception as error:
                raise self.invalid() from error
            try:
                yield book
            finally:
                book.close()

    def _check_zip(self, upload: Upload) -> None:
        with upload.source.open("rb") as file:
            if file.read(4) == _OLE:
                raise RequestRefused(
                    "The file is an old Excel file (.xls), or has a password.",
                    fix="save it without a password as .xlsx or as a CSV file.",
                    code="old_or_encrypted_excel",
                    title="The file can't be read",
                )
        try:
            with zipfile.ZipFile(upload.source) as archive:
                parts = archive.infolist()
        except zipfile.BadZipFile as error:
            raise self.invalid() from error
        names = {part.filename for part in parts}
        if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
            raise RequestRefused(
                "The file is a ZIP archive, but not an Excel file (.xlsx).",
                fix="send a CSV file or an Excel file that is not packed.",
                code="not_a_workbook",
                title="The file can't be read",
            )
        upload.check_unpacked(sum(part.file_size for part in parts))
        # All texts of a workbook are in memory while it is read.
        upload.check_unpacked(5 * sum(part.file_size for part in parts if part.filename == _SHARED_STRINGS))

    def write(self, target: Path, header: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]]) -> None:
        """See `TableFormat`. Columns of numbers and dates get these types; a text is never a formula."""
        import openpyxl  # noqa: PLC0415 - optional

        if len(header) > MAX_COLUMNS or sum(1 for _ in islice(rows(), MAX_ROWS)) >= MAX_ROWS:
            raise RequestRefused(
                f"An Excel sheet has at most {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns; this table has more.",
                fix="download it in another format.",
                code="too_large_for_excel",
                title="Too large for Excel",
            )
        kinds = column_kinds(len(header), rows())
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Table")
        sheet.freeze_panes = "A2"
        for place, name in enumerate(header):
            letters = openpyxl.utils.get_column_letter(place + 1)
            sheet.column_dimensions[letters].width = min(max(len(name) + 2, 10), 30)
        bold = openpyxl.styles.Font(bold=True)
        sheet.append([_text_cell(sheet, name, font=bold) for name in header])
        for row in rows():
            sheet.append([_value(sheet, cell, kind) for cell, kind in zip(row, kinds, strict=True)])
        book.save(target)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of values of a sheet, without trust in the size that it claims."""
    sheet.reset_dimensions()
    cells = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        cells += len(row)
        if number >= MAX_ROWS or cells > MAX_CELLS:
            raise RequestRefused(
                f"The sheet “{sheet.title}” has more than {MAX_ROWS:,} rows or {MAX_CELLS:,} cells, also empty ones.",
                fix="delete empty rows and columns, or send it in parts.",
                code="sheet_too_large",
                status=413,
                title="Too large",
            )
        yield row


def _filled(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows that have a value."""
    return (row for row in rows if any(value not in (None, "") for value in row))


def _table(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """The header and the rows below it: all columns that have a name. Empty rows are left out, as in a CSV file."""
    filled = _filled(rows)
    header = next(filled, ())
    places = [place for place, name in enumerate(header) if name not in (None, "")]
    for row in chain([header], filled):
        yield [_unescape(row[place]) if place < len(row) else None for place in places]


def _unescape(value: Any) -> Any:
    if isinstance(value, str) and "_x" in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    return value


def _checked(sheet: Any, formulas: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a sheet with formulas.

    Raises:
        RequestRefused: the file lacks the value of a formula.
    """
    formulas.reset_dimensions()
    for number, (row, others) in enumerate(zip(_rows(sheet), formulas.iter_rows(), strict=True), start=1):
        for value, cell in zip(row, others, strict=True):
            if value is None and cell.data_type == "f":
                raise RequestRefused(
                    f"The cell {cell.column_letter}{number} has a formula, but the file does not have its value.",
                    fix="open the file in Excel or LibreOffice, save it, and send it again; or replace formulas by "
                    "their values.",
                    code="formula_without_value",
                    title="A formula without a value",
                )
        yield row


def _has_formulas(path: Path) -> bool:
    """Whether a sheet may have a formula."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".xml") or name == _SHARED_STRINGS:
                continue
            end = b""
            with archive.open(name) as part:
                while chunk := part.read(_CHUNK):
                    if _FORMULA.search(end + chunk):
                        return True
                    end = chunk[-100:]
    return False


def _value(sheet: Any, cell: str, kind: str) -> Any:
    """A value that openpyxl writes as it is."""
    value = typed_cell(cell, kind)
    if isinstance(value, str):
        return _text_cell(sheet, value) if value[0] in "=#" or _needs_care(value) else value
    is_early = isinstance(value, date) and date(value.year, value.month, value.day) < _FIRST_DATE
    is_large = isinstance(value, float) and abs(value) > _LARGEST
    return cell if is_early or is_large else value


def _needs_care(text: str) -> bool:
    return len(text) > MAX_CELL or bool(_TO_ESCAPE.search(text))


def _text_cell(sheet: Any, text: str, font: Any = None) -> Any:
    """A cell with a text, also one that begins like a formula or an error."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - optional

    cell = WriteOnlyCell(sheet, _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", text[:MAX_CELL]))
    cell.data_type = "s"
    if font is not None:
        cell.font = font
    return cell
