"""A CSV file before it is scored: its first rows, and what is wrong in it by row and column.

It is read as a stream: memory does not grow with the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmar_client import Schema
from fastmar_client.csv_rows import UTF8, CsvRows, Row
from fastmar_client.problems import FLOAT32_MAX, as_date
from fastmar_web.errors import Refused

JSON = dict[str, Any]
Check = Callable[[str], "str | None"]

SAMPLE_ROWS, SAMPLE_COLUMNS, CELL = 12, 60, 48  # of the preview; characters of a cell
LISTED = 50  # problems that are shown one by one
UNUSED = 12  # columns without use that are named
CELLS_A_WORD = 100_000  # that are read from one word on how far it is to the next
NEW = "New to the model."
AMBIGUOUS = "Two categories of the model differ from this only in white space, so it is taken for neither."
REMARKS = (NEW, AMBIGUOUS)  # what the model takes for unknown, and does not refuse
# What the server takes for no value; see fastmar_runtime.csv_records.
_NULL_WORDS = "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
NULLS = frozenset(["", *_NULL_WORDS.split("|")])
_BOOLS = frozenset(["True", "TRUE", "true", "False", "FALSE", "false"])


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
        CsvUnreadable: it is no CSV that the model could read.
        Refused: it has no row.
    """
    described = Schema(schema)
    properties: JSON = schema["record"].get("properties", {})
    known = described.names
    with path.open("rb") as file:
        rows = CsvRows(file, known, encoding=encoding, name="the file")
        header = rows.header
        preview = Preview(described.version, encoding, header[:SAMPLE_COLUMNS])
        preview.more_columns = max(0, len(header) - SAMPLE_COLUMNS)
        preview.missing = [problem.field or "" for problem in described.missing(header)]
        unused = [name for name in header if name not in known]
        preview.unused, preview.more_unused = unused[:UNUSED], max(0, len(unused) - UNUSED)
        checks = [_check(properties[name]) if name in properties else None for name in header]
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
    if not preview.total:
        raise Refused("There is no row below the first line.", fix="give a file with at least one row.", title="Empty")
    return preview


def _sample(cells: list[str], columns: list[str], problems: list[Problem]) -> list[tuple[str, str]]:
    wrong = {problem.column: problem.text for problem in problems}
    return [(shortened(cell), wrong.get(name, "")) for name, cell in zip(columns, cells, strict=False)]


def shortened(cell: str) -> str:
    """A cell for the eye."""
    return cell if len(cell) <= CELL else f"{cell[:CELL]}..."


def _problems(number: int, row: Row, header: list[str], checks: list[Check | None]) -> Iterator[Problem]:
    if row.error is not None:
        text = str(row.error.get("message"))
        yield Problem(number, "", "", text[:1].upper() + text[1:], refuses=True)
        return
    for name, cell, check in zip(header, row.cells, checks, strict=True):
        if check is not None and (said := check(cell)):
            yield Problem(number, name, cell[:CELL], said, refuses=said not in REMARKS)


def _count(preview: Preview, problems: list[Problem]) -> None:
    preview.bad_cells.update(problem.column for problem in problems if problem.column)
    if any(problem.refuses for problem in problems):
        preview.refused += 1
    else:
        preview.remarked += 1
    preview.problems += problems[: LISTED - len(preview.problems)]


def _check(schema: JSON) -> Check | None:
    """What tells whether a cell of a column is fit for it."""
    own, types = schema.get("x-fastmar", {}), schema.get("type", [])
    nullable = "null" in types
    if own.get("kind") == "number":
        return _number_check(nullable=nullable)
    if own.get("kind") == "date":
        return _date_check(nullable=nullable)
    values = own.get("categories", [])
    if own.get("kind") == "category" and own.get("category_count", 0) <= len(values):
        return _category_check(values)
    return None


def _number_check(*, nullable: bool) -> Check:
    def check(cell: str) -> str | None:
        try:
            value = math.nan if cell in NULLS else float(cell)
        except ValueError:
            return None if cell in _BOOLS else "Not a number."
        if "_" in cell:
            return "Not a number."
        if math.isnan(value):
            return None if nullable else "A number is missing."
        return None if abs(value) <= FLOAT32_MAX else "Too large a number for the model."

    return check


def _date_check(*, nullable: bool) -> Check:
    def check(cell: str) -> str | None:
        if cell in NULLS:
            return None if nullable else "A date is missing."
        return "Not a date such as 2024-01-31." if as_date(cell) is None else None

    return check


def _category_check(values: list[Any]) -> Check:
    exact = {str(value) for value in values}
    spelled = Counter(text.strip() for text in exact)
    dates = {date for value in values if (date := as_date(value)) is not None}
    numbers = {float(value) for value in values if isinstance(value, int | float)}
    only_bools = _BOOLS if any(isinstance(value, bool) for value in values) else frozenset()

    def check(cell: str) -> str | None:
        text = cell.strip()
        if cell in exact or spelled[text] == 1 or cell in NULLS or cell in only_bools:
            return None
        if spelled[text] > 1:
            return AMBIGUOUS
        if dates and as_date(cell) in dates:
            return None
        if numbers:
            try:
                return None if float(text) in numbers else NEW
            except ValueError:
                pass
        return NEW

    return check
