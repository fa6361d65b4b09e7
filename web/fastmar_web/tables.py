"""A CSV file before it is scored: its first rows, and what is wrong in it by row and column.

It is read as a stream: memory does not grow with the file.
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
from fastmar_web.errors import Refused, sentence

JSON = dict[str, Any]
Finding = tuple[str, bool]  # what is wrong with a cell, and whether its row is refused
Check = Callable[[str], "Finding | None"]

SAMPLE_ROWS, SAMPLE_COLUMNS, CELL = 12, 60, 48  # of the preview; characters of a cell
LISTED = 50  # problems that are shown one by one
UNUSED = 12  # columns without use that are named
CELLS_A_WORD = 100_000  # that are read from one word on how far it is to the next
NEW = "New to the model."
AMBIGUOUS = "Two categories of the model differ from this only in white space, so it is taken for neither."


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one cell, or in a whole row where there is no column.

    Attributes:
        row: 1 is the first below the header.
        refuses: whether the row can't be scored; otherwise it is, and the model takes the cell for unknown.
    """

    row: int
    column: str
    value: str
    text: str
    refuses: bool


@dataclass
class Preview:
    """What a look at the whole file found.

    Attributes:
        version: of the model, where it is to be asked; None for the one that answers when it is.
        encoding: in which the file was read.
        columns: of the sample.
        rows: of the sample, each cell with what is wrong with it, or "".
        total: rows below the header.
        more_columns: columns that the sample leaves out.
        missing: columns that the model needs.
        unused: the first ones that it does not look at.
        more_unused: how many more of these there are.
        problems: the first ones.
        bad_cells: how many cells of a column have a problem.
        refused: rows that can't be scored.
        remarked: rows that can, with a cell that the model does not know.
    """

    version: str | None = None
    encoding: str = UTF8
    columns: list[str] = field(default_factory=list)
    rows: list[list[tuple[str, str]]] = field(default_factory=list)
    total: int = 0
    more_columns: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    more_unused: int = 0
    problems: list[Problem] = field(default_factory=list)
    bad_cells: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    remarked: int = 0

    @property
    def scorable(self) -> bool:
        """Whether there is anything to ask the model."""
        return not self.missing and self.total > self.refused


def look(path: Path, schema: JSON, on_row: Callable[[int], None], encoding: str = UTF8) -> Preview:
    """Read the whole file and say what is in it. It is read as it will be when it is scored.

    Raises:
        Refused: it is no CSV that the model could read, or it has no row.
    """
    try:
        preview = _look(path, schema, on_row, encoding)
    except TableUnreadable as error:
        raise Refused(sentence(error.message), fix=error.fix, title="This is no table for the model") from error
    if not preview.total:
        raise Refused("There is no row below the first line.", fix="give a file with at least one row.", title="Empty")
    return preview


def _look(path: Path, schema: JSON, on_row: Callable[[int], None], encoding: str) -> Preview:
    described = Schema(schema)
    known = described.names
    with path.open("rb") as file:
        rows = CsvFile(file, known, encoding=encoding, name="the file")
        header = rows.header
        preview = Preview(described.version, encoding, header[:SAMPLE_COLUMNS])
        preview.more_columns = max(0, len(header) - SAMPLE_COLUMNS)
        preview.missing = [problem.field or "" for problem in described.missing(header)]
        unused = [name for name in header if name not in known]
        preview.unused, preview.more_unused = unused[:UNUSED], max(0, len(unused) - UNUSED)
        columns = [described.columns.get(name) for name in header]
        checks = [_check(described, column) if column else None for column in columns]
        rows_a_word = max(1, CELLS_A_WORD // len(header))
        for number, row in enumerate(rows, start=1):
            preview.total = number
            problems = list(_problems(number, row, header, checks))
            if problems:
                _count(preview, problems)
            if number <= SAMPLE_ROWS:
                preview.rows.append(_sample(row.cells, preview.columns, problems))
            if number % rows_a_word == 0:
                on_row(number)
    return preview


def _sample(cells: list[str], columns: list[str], problems: list[Problem]) -> list[tuple[str, str]]:
    wrong = {problem.column: problem.text for problem in problems}
    return [(shortened(cell), wrong.get(name, "")) for name, cell in zip(columns, cells, strict=False)]


def shortened(cell: str) -> str:
    """A cell for the eye."""
    return cell if len(cell) <= CELL else f"{cell[:CELL]}..."


def _problems(number: int, row: Row, header: list[str], checks: list[Check | None]) -> Iterator[Problem]:
    if row.error is not None:
        yield Problem(number, "", "", sentence(row.error.message), refuses=True)
        return
    for name, cell, check in zip(header, row.cells, checks, strict=True):
        if check is not None and (found := check(cell)):
            yield Problem(number, name, cell[:CELL], found[0], refuses=found[1])


def _count(preview: Preview, problems: list[Problem]) -> None:
    preview.bad_cells.update(problem.column for problem in problems if problem.column)
    if any(problem.refuses for problem in problems):
        preview.refused += 1
    else:
        preview.remarked += 1
    preview.problems += problems[: LISTED - len(preview.problems)]


def _check(schema: Schema, column: Column) -> Check:
    """A function that finds what is wrong with a cell of a column: a text, and whether it refuses the row."""
    read = column.cell_reader()

    @lru_cache(maxsize=4096)
    def check(cell: str) -> Finding | None:
        if column.kind == DATE and cell not in NULLS and as_date(cell) is None:
            return _SAID["not_a_date"], True
        if schema.leaves_out(column.name, cell):
            return None
        problems = [problem for problem in column.problems(read(cell)) if problem.code in _SAID]
        if not problems:
            return None
        if problems[0].code == UNKNOWN and column.vocabulary.is_ambiguous(cell):
            return AMBIGUOUS, False
        return _SAID[problems[0].code], problems[0].weight == "refused"

    return check


_SAID = {
    "not_a_number": "Not a number.",
    "out_of_range": "Too large a number for the model.",
    "not_a_date": "Not a date such as 2024-01-31.",
    "null_not_filled": "A value is missing.",
    "wrong_type": "Not of a type that the model takes.",
    "bad_option": "Not one of the values that the model takes.",
    UNKNOWN: NEW,
}
"""What the preview says of a problem, by its code. Others are no problem: the value is taken as it was meant."""
