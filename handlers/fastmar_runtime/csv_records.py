"""CSV with a header to records: each cell becomes what its field expects, as pandas would have read it in training."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from fastmar_runtime.errors import RecordError, RequestError
from fastmar_runtime.report import shown
from fastmar_runtime.spec import CATEGORY, NUMBER, Field

# What pandas' read_csv takes for null unless told otherwise (its documentation, `na_values`).
_NULL_WORDS = "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
NULLS = frozenset(["", *_NULL_WORDS.split("|")])
_BOOLS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_DELIMITERS = ",;\t"

csv.field_size_limit(1_000_000)  # characters of one cell


def read_csv(text: str, fields: Sequence[Field], most: int | None = None) -> list[Any]:
    """Records of `text`, whose first line names the columns; a `RecordError` for a row of another length.

    A row whose cells are all empty, as Excel writes behind a table, is a `RecordError` too. The delimiter is the comma,
    semicolon or tab that makes most columns of the model out of the header. No more than `most` records are read; None
    reads all.

    Raises:
        RequestError: there is no header, or it names no column of the model, or one twice; or a quote stays open.
    """
    text = text.lstrip("\r\n")
    known = {name: f for f in reversed(fields) for name in (f.name, *f.aliases)}  # of two fields the first
    header, rows = max(
        (_open(text, delimiter) for delimiter in _DELIMITERS), key=lambda o: len(known.keys() & set(o[0]))
    )
    if known.keys().isdisjoint(header):
        first_line = re.match(r"[^\r\n]*", text)
        raise RequestError(
            f"the first line is {shown(first_line and first_line[0])}, which names no column of the model.",
            fix=f"begin the CSV with a header such as {','.join(f.name for f in fields[:3])}{_lost_lines(text)}.",
        )
    twice = next((name for name, times in Counter(header).items() if times > 1 and name in known), None)
    if twice is not None:
        raise RequestError(f"the header names {twice!r} twice.", fix="give each column a name of its own.")
    cells = [_cell_reader(known.get(name)) for name in header]
    try:
        return list(islice((_record(row, header, cells) for row in rows if row), most))
    except csv.Error as error:
        raise RequestError(
            f"line {rows.line_num} of the CSV can't be read ({error}).",
            fix="close each quote, double a quote inside a quoted cell, and keep cells under a million characters.",
        ) from error


def read_rows(text: str, fields: Sequence[Field], most: int | None = None) -> list[Any]:
    """The same, of a table that must have a row.

    Raises:
        RequestError: as `read_csv` has it; or there is no row behind the header.
    """
    records = read_csv(text, fields, most)
    if not records and most != 0:
        raise RequestError(
            "there is no row behind the header of the CSV.",
            code="no_rows",
            fix=f"send the rows too, each on a line of its own{_lost_lines(text)}.",
        )
    return records


def names_columns(text: str, fields: Sequence[Field]) -> bool:
    """Whether the first line of `text` is a header of the model's columns, at least two where the model has as many."""
    known = {name for f in fields for name in (f.name, *f.aliases)}
    headers = (_open(text.lstrip("\r\n"), delimiter)[0] for delimiter in _DELIMITERS)
    return max(len(known & set(header)) for header in headers) >= min(2, len(fields))


def _lost_lines(text: str) -> str:
    """What to do about a table of one line, which curl's -d makes of any table."""
    return "" if re.search(r"[\r\n].", text) else "; with curl, use --data-binary, since -d strips line ends"


def _open(text: str, delimiter: str) -> tuple[list[str], Any]:
    """The header and a reader of the rows behind it, for one delimiter."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return next(rows, []), rows
    except csv.Error:  # quotes that make no sense with this delimiter
        return [], rows


def _record(row: list[str], header: list[str], cells: list[Callable[[str], Any]]) -> Any:
    if len(row) > 1 and not any(row):
        return RecordError(
            "empty_row", "the row is empty: it has delimiters alone.", fix="delete the row, or fill in its cells."
        )
    if len(row) != len(header):
        return RecordError(
            "ragged_row",
            f"the row has {len(row)} cells where the header has {len(header)}.",
            fix="give each row a cell for each column; quote cells that hold the delimiter.",
        )
    return {name: read(cell) for name, read, cell in zip(header, cells, row, strict=True)}


def _cell_reader(field: Field | None) -> Callable[[str], Any]:
    if field is None:
        return lambda cell: cell
    if field.kind == NUMBER:
        return read_number
    if field.kind == CATEGORY:
        return _category_reader(field)
    return lambda cell: None if cell in NULLS else cell


def read_number(cell: str) -> Any:
    """A number, bool or null as pandas reads it from a cell; other text stays as it is."""
    if cell in NULLS:
        return None
    if cell in _BOOLS:
        return _BOOLS[cell]
    try:
        return cell if "_" in cell else float(cell)
    except ValueError:
        return cell  # refused later, by name


def _category_reader(field: Field) -> Callable[[str], Any]:
    """Strings stay as they are; a vocabulary of numbers or bools has its cells read as such."""
    strings = frozenset(x for x in field.categories if isinstance(x, str))
    has_bools = any(isinstance(x, bool) for x in field.categories)
    has_numbers = any(type(x) in (int, float) for x in field.categories)

    def read(cell: str) -> Any:
        if cell in strings:  # before the nulls: "NA" can be a category
            return cell
        if cell in NULLS:
            return None
        if has_bools and cell in _BOOLS:
            return _BOOLS[cell]
        if has_numbers or has_bools:
            try:
                return int(cell) if "_" not in cell else cell  # exact, however long an identifier is
            except ValueError:
                number = read_number(cell)
                return cell if isinstance(number, bool) else number
        return cell

    return read
