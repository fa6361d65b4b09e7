"""Checks a CSV file before it is scored: its first rows, and its problems by row and column.

The file is read as a stream, so memory does not grow with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastmar_client import Schema
from fastmar_client.problems import Column
from fastmar_contract.categories import UNKNOWN
from fastmar_contract.cells import NULLS
from fastmar_contract.csv_rows import UTF8, CsvFile, Row
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.values import DATE, as_date
from fastmar_web.errors import FieldMessage, RequestRefused, sentence
from fastmar_web.forms.values import LIMIT_CODES
from fastmar_web.tables.remarks import Remark, remarks_by_column

JSON = dict[str, Any]

SAMPLE_ROWS, SAMPLE_COLUMNS = 12, 60  # of the preview
CELL_LENGTH = 48  # characters of a cell that are shown
MAX_PROBLEMS = 50  # that are listed
MAX_UNUSED = 12  # unused columns that are listed
ENCODING_FIX = "save the file as UTF-8, or choose its encoding when you upload it."
CELLS_PER_REPORT = 100_000  # cells that are read between two calls of `on_row`
AMBIGUOUS = "ambiguous_category"  # code: `UNKNOWN`, since two categories match the cell


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one cell, or of a whole row.

    Attributes:
        row: number of the row; 1 is the first one below the header.
        column: its name; empty for a problem of the whole row.
        value: beginning of the cell.
        code: a stable name of the problem.
        text: the message for the visitor.
        is_error: whether the row can't be scored. Otherwise the model treats the cell as an unknown category, or the
            form has a remark at such a number.
    """

    row: int
    column: str
    value: str
    code: str
    text: str
    is_error: bool


Check = Callable[[str], "tuple[FieldMessage, bool] | None"]  # a cell to its problem and `is_error`
Sample = list[tuple[str, "Problem | None"]]  # cells of a row


@dataclass
class Preview:
    """The result of checking a file.

    Attributes:
        version: version of the model that checked it and will score it; None for the default version.
        encoding: encoding of the file.
        delimiter: the delimiter between cells.
        extension: the extension of the uploaded file's format; the table itself is always a CSV file.
        remarks: remarks on how the file was read.
        columns: names of the columns in the sample.
        rows: the sample: the first rows, each cell with its problem.
        total: number of rows.
        more_columns: number of columns that the sample leaves out.
        missing: columns that the model needs and the file lacks.
        unused: the first columns that the model does not use.
        more_unused: number of unused columns beyond `unused`.
        problems: the first problems; those of rows that can't be scored take precedence.
        bad_cells: number of cells with a problem, by column.
        error_rows: number of rows that can't be scored.
        warning_rows: number of rows with an unknown or unusual value that can be scored.
        beyond_limits: number of these rows with a number beyond the form's limits.
    """

    version: str | None = None
    encoding: str = UTF8
    delimiter: str = ","
    extension: str = "csv"
    remarks: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[Sample] = field(default_factory=list)
    total: int = 0
    more_columns: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    more_unused: int = 0
    problems: list[Problem] = field(default_factory=list)
    bad_cells: Counter[str] = field(default_factory=Counter)
    error_rows: int = 0
    warning_rows: int = 0
    beyond_limits: int = 0

    @property
    def width(self) -> int:
        """Number of columns of the file."""
        return len(self.columns) + self.more_columns

    @property
    def scorable(self) -> bool:
        """Whether at least one row can be scored."""
        return not self.missing and self.total > self.error_rows


def preview_table(path: Path, schema: JSON, on_row: Callable[[int], None], encoding: str = UTF8) -> Preview:
    """Read the whole file, in the same way as for scoring, and list its problems.

    Args:
        path: the file.
        schema: the schema of the model.
        on_row: a function that is called regularly with the number of rows that were read.
        encoding: the encoding of the file.

    Raises:
        RequestRefused: the file is not a CSV file with columns of the model, or has no rows.
    """
    try:
        preview = _read(path, schema, on_row, encoding)
    except TableUnreadable as error:
        raise RequestRefused(
            sentence(error.message), fix=error.fix, code=error.code, title="The model can't read this table"
        ) from error
    if not preview.total:
        raise RequestRefused(
            "The table has no row below its header.",
            fix="send a file with at least one row.",
            code="no_rows",
            title="Empty",
        )
    return preview


def _read(path: Path, schema: JSON, on_row: Callable[[int], None], encoding: str) -> Preview:
    described = Schema(schema)
    known = described.names
    with path.open("rb") as file:
        rows = CsvFile(file, known, encoding=encoding, name="the file", encoding_fix=ENCODING_FIX)
        header = rows.header
        preview = Preview(described.version, encoding, rows.delimiter, columns=header[:SAMPLE_COLUMNS])
        preview.more_columns = max(0, len(header) - SAMPLE_COLUMNS)
        preview.missing = [problem.field or "" for problem in described.missing(header)]
        unused = [name for name in header if name not in known]
        preview.unused, preview.more_unused = unused[:MAX_UNUSED], max(0, len(unused) - MAX_UNUSED)
        remarks = remarks_by_column(schema)
        columns = [described.columns.get(name) for name in header]
        checks = [_check(described, column, remarks.get(column.name)) if column else None for column in columns]
        rows_per_report = max(1, CELLS_PER_REPORT // len(header))
        for number, row in enumerate(rows, start=1):
            preview.total = number
            problems = list(_problems(number, row, header, checks))
            if problems:
                _count(preview, problems)
            if number <= SAMPLE_ROWS:
                preview.rows.append(_sample(row.cells, preview.columns, problems))
            if number % rows_per_report == 0:
                on_row(number)
    return preview


def _sample(cells: list[str], columns: list[str], problems: list[Problem]) -> Sample:
    by_column = {problem.column: problem for problem in problems}
    return [(shorten(cell), by_column.get(name)) for name, cell in zip(columns, cells, strict=False)]


def shorten(cell: str) -> str:
    """A cell as it is shown."""
    return cell if len(cell) <= CELL_LENGTH else f"{cell[:CELL_LENGTH]}..."


def _problems(number: int, row: Row, header: list[str], checks: list[Check | None]) -> Iterator[Problem]:
    if row.error is not None:
        yield Problem(number, "", "", row.error.code, sentence(row.error.message), is_error=True)
        return
    for name, cell, check in zip(header, row.cells, checks, strict=True):
        if check is not None and (found := check(cell)):
            message, is_error = found
            yield Problem(number, name, cell[:CELL_LENGTH], message.code, message.text, is_error)


def _count(preview: Preview, problems: list[Problem]) -> None:
    preview.bad_cells.update(problem.column for problem in problems if problem.column)
    if any(problem.is_error for problem in problems):
        preview.error_rows += 1
    else:
        preview.warning_rows += 1
        preview.beyond_limits += any(problem.code in LIMIT_CODES for problem in problems)
    for problem in problems:
        if len(preview.problems) == MAX_PROBLEMS:
            last = next((each for each in reversed(preview.problems) if not each.is_error), problem)
            if not problem.is_error or last is problem:
                return
            preview.problems.remove(last)
        preview.problems.append(problem)


def _check(schema: Schema, column: Column, remark: Remark | None) -> Check:
    """The function that finds the problem of a cell of `column`, or else the form's remark."""
    read = column.cell_reader()

    @lru_cache(maxsize=4096)
    def check(cell: str) -> tuple[FieldMessage, bool] | None:
        if column.kind == DATE and cell not in NULLS and as_date(cell) is None:
            return _message("not_a_date"), True
        if schema.omits(column.name, cell):
            return None
        problems = [problem for problem in column.problems(read(cell)) if problem.code in _TEXTS]
        if not problems:
            found = remark(cell) if remark else None
            return (found, False) if found else None
        if problems[0].code == UNKNOWN and column.vocabulary.is_ambiguous(cell):
            return _message(AMBIGUOUS), False
        return _message(problems[0].code), problems[0].weight == "refused"

    return check


def _message(code: str) -> FieldMessage:
    return FieldMessage(code, _TEXTS[code])


_TEXTS = {
    "not_a_number": "Not a number.",
    "out_of_range": "The number is too large for the model.",
    "not_a_date": "Not a date such as 2024-01-31.",
    "null_not_filled": "The cell is empty, and the model needs a value.",
    "wrong_type": "Not of a type that the model accepts.",
    "bad_option": "Not one of the values that the model accepts.",
    UNKNOWN: "New to the model.",
    AMBIGUOUS: "Two categories differ from this only in white space, so the model matches neither.",
}
"""Messages by code. Problems with other codes are not shown, since the model still reads the value as intended."""
