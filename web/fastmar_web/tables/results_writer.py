"""Writes the answers of a scored table to an SQLite file, for `results`.

The file has the first columns and characters of the table, as a page shows them. The download is the table itself.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from fastmar_client.csv_answers import ERROR, INPUT, LABEL_SEPARATOR, PREDICTION, PREFIX, PROBABILITY, WARNINGS
from fastmar_contract.cells import NULLS
from fastmar_web.tables.files.cells import number_of
from fastmar_web.tables.results import FAILED, FINE, OTHER, WARNED, Column

JSON = dict[str, Any]

MAX_COLUMNS = 60  # of the table, beside those of the answers
MAX_ANSWER_COLUMNS = 20
CELL_LENGTH = 400  # characters that are stored
MAX_LABELS = 200  # that are counted
MAX_MESSAGES = 12  # that are listed
_CHUNK = 2000  # rows that are inserted at once


def write_results(
    answers: Path,
    target: Path,
    *,
    inputs: int,
    delimiter: str,
    has_labels: bool = True,
    splits_labels: bool = False,
    warnings_of: Callable[[Sequence[str], str], str] = lambda _, warnings: warnings,
    on_row: Callable[[], None] = lambda: None,
) -> None:
    """Write the SQLite file of a scored table.

    Args:
        answers: the table with the answers, as `Client.score_csv` writes it.
        target: the SQLite file, which is created when it is complete.
        inputs: number of columns of the table itself.
        delimiter: the delimiter of the table.
        has_labels: whether predictions are labels, also if these look like numbers.
        splits_labels: whether a prediction is several labels.
        warnings_of: a function that returns the warnings to show for a row, from its cells and its own warnings.
        on_row: a function that is called regularly; an exception ends the work.

    Raises:
        csv.Error: a cell is too long.
        sqlite3.Error: the file can't be written.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with answers.open(encoding="utf-8-sig", newline="") as file, closing(sqlite3.connect(part)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        rows = csv.reader(file, delimiter=delimiter)
        header = next(rows)
        roles = {place: _role(header, place, inputs) for place in _places(len(header), inputs)}
        numbers = _insert(database, rows, roles, has_labels, warnings_of, on_row)
        columns = [Column(place, header[place], role, numbers[place]) for place, role in roles.items()]
        separator = LABEL_SEPARATOR if splits_labels else None
        about: JSON = {
            "columns": [asdict(column) for column in columns],
            "left_out": len(header) - len(columns),
            "separator": separator,
        }
        charted = [column.sql for column in columns if column.role in (PREDICTION, PROBABILITY)]
        database.execute(f"CREATE INDEX charted ON rows ({', '.join([*charted, 'state'])})")  # read without other cells
        about |= _counts(database, columns, separator)
        database.execute("CREATE TABLE about (text TEXT)")
        database.execute("INSERT INTO about VALUES (?)", [json.dumps(about)])
        database.commit()
    part.replace(target)


def _places(width: int, inputs: int) -> list[int]:
    """The numbers of the columns that are stored. The last ones, of warnings and errors, always are."""
    answers = list(range(inputs, width))
    first, last = answers[: MAX_ANSWER_COLUMNS - 2], answers[MAX_ANSWER_COLUMNS - 2 :][-2:]
    return [*range(min(inputs, MAX_COLUMNS)), *first, *last]


def _role(header: Sequence[str], place: int, inputs: int) -> str:
    if place < inputs:
        return INPUT
    name = header[place]
    while name.startswith(PREFIX) and name not in (PREDICTION, PROBABILITY, WARNINGS, ERROR):
        name = name.removeprefix(PREFIX)
    if name in (PREDICTION, PROBABILITY, WARNINGS, ERROR):
        return name
    return PREDICTION if name.startswith(f"{PREDICTION}_") else OTHER


def _insert(
    database: sqlite3.Connection,
    rows: Iterator[list[str]],
    roles: dict[int, str],
    has_labels: bool,
    warnings_of: Callable[[Sequence[str], str], str],
    on_row: Callable[[], None],
) -> dict[int, bool]:
    """Insert all rows; returns for each column whether it has numbers only."""
    places = list(roles)
    texts = {place for place in places if has_labels and roles[place] == PREDICTION}
    by_role = {role: place for place, role in roles.items()}
    errors, warnings = by_role.get(ERROR), by_role.get(WARNINGS)
    names = ", ".join(f"c{place}" for place in places)
    database.execute(f"CREATE TABLE rows (row INTEGER PRIMARY KEY, state TEXT, message TEXT, {names})")
    insert = f"INSERT INTO rows VALUES (?, ?, ?, {', '.join('?' * len(places))})"  # noqa: S608 - names are numbers
    maybe_numbers, has_numbers = set(places) - texts, set()
    number = 0
    while chunk := list(islice(rows, _CHUNK)):
        on_row()
        values = []
        for row in chunk:
            number += 1
            error = row[errors] if errors is not None else ""
            warning = "" if error else warnings_of(row, row[warnings] if warnings is not None else "")
            state = FAILED if error else WARNED if warning else FINE
            cells = [row[place][:CELL_LENGTH] if place in texts else _value(row[place]) for place in places]
            values.append((number, state, (error or warning)[:CELL_LENGTH], *cells))
            for place, cell in zip(places, cells, strict=True):
                if type(cell) is float:
                    has_numbers.add(place)
                elif place in maybe_numbers and cell not in NULLS:
                    maybe_numbers.discard(place)
        database.executemany(insert, values)
    return {place: place in maybe_numbers and place in has_numbers for place in places}


def _value(cell: str) -> str | float:
    """A cell as it is stored."""
    number = number_of(cell)
    return cell[:CELL_LENGTH] if number is None else number


def _counts(database: sqlite3.Connection, columns: list[Column], separator: str | None) -> JSON:
    """Counts of rows by state, by label and by message; the range of each column of numbers."""
    states = dict(database.execute("SELECT state, COUNT(*) FROM rows GROUP BY state"))
    messages = database.execute(
        "SELECT MIN(row), state, message, COUNT(*) FROM rows WHERE state != ? GROUP BY state, message "
        "ORDER BY state, COUNT(*) DESC",
        [FINE],
    ).fetchall()
    listed = [m for state in (FAILED, WARNED) for m in [m for m in messages if m[1] == state][:MAX_MESSAGES]]
    ranges = {
        column.place: database.execute(
            f"SELECT MIN({column.sql}), MAX({column.sql}) FROM rows WHERE {column.has_value}"  # noqa: S608
        ).fetchone()
        for column in columns
        if column.is_number
    }
    prediction = next((column for column in columns if column.role == PREDICTION), None)
    labels: dict[str, int] = {}
    if prediction is not None and not prediction.is_number:
        found = database.execute(
            f"SELECT {prediction.sql}, COUNT(*) FROM rows WHERE {prediction.sql} != '' AND state != ? "  # noqa: S608
            f"GROUP BY {prediction.sql}",
            [FAILED],
        )
        for text, count in found:
            for label in str(text).split(separator) if separator else [str(text)]:
                labels[label] = labels.get(label, 0) + count
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    return {
        "states": states,
        "labels": ordered[:MAX_LABELS],
        "label_count": len(ordered),
        "messages": listed,
        "message_counts": {state: sum(m[1] == state for m in messages) for state in (FAILED, WARNED)},
        "ranges": ranges,
    }
