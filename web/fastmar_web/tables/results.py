"""The rows of a scored table in an SQLite file, which a page filters, sorts and counts. `results_writer` writes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_client.csv_answers import ERROR, PREDICTION

JSON = dict[str, Any]

OTHER = "other"  # role of a column of the answers that has no role of its own
FINE, WARNED, FAILED = "fine", "warnings", "errors"  # states of rows


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file.

    Attributes:
        place: its number in the file; the database names it `c` and this number.
        name: its name in the file.
        role: `INPUT`, `PREDICTION`, `PROBABILITY`, `WARNINGS`, `ERROR` or `OTHER`.
        is_number: whether each cell is a number, or missing. Numbers are stored as such, also in other columns.
    """

    place: int
    name: str
    role: str
    is_number: bool

    @property
    def sql(self) -> str:
        """Its name in the database, where one column has the errors and the warnings."""
        return "message" if self.role == ERROR else f"c{self.place}"

    @property
    def has_value(self) -> str:
        """The SQL condition that a row has a value: a number, for a column of numbers."""
        return f"typeof({self.sql}) = 'real'" if self.is_number else f"{self.sql} != ''"


@dataclass(frozen=True, slots=True)
class Message:
    """An error or a warning, and the rows that have it.

    Attributes:
        row: the first row with it, by which it is chosen.
        state: `FAILED` or `WARNED`.
        text: the message.
        count: number of rows.
    """

    row: int
    state: str
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that a page shows, and their order.

    Attributes:
        label: only rows with this predicted label.
        state: only rows that failed (`FAILED`) or have a warning (`WARNED`).
        message: only rows with the error or the warning of this row.
        sort: the place of the column by which the rows are sorted; None for the order of the file.
        descending: the largest first.
        page: number of the page, from 1.
    """

    label: str | None = None
    state: str | None = None
    message: int | None = None
    sort: int | None = None
    descending: bool = False
    page: int = 1


class Results:
    """A scored table.

    Attributes:
        columns: the columns in the order of the file.
        left_out: number of columns that the pages do not show.
        labels: predicted labels and their numbers of rows: the most frequent ones, in this order.
        label_count: number of different labels.
        states: number of rows by state.
        messages: the most frequent errors and warnings.
        message_counts: number of different messages by state.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        about = json.loads(database.execute("SELECT text FROM about").fetchone()[0])
        self.columns = [Column(**each) for each in about["columns"]]
        self.left_out: int = about["left_out"]
        self.labels: list[tuple[str, int]] = [(label, count) for label, count in about["labels"]]
        self.label_count: int = about["label_count"]
        self.states: dict[str, int] = about["states"]
        self.messages = [Message(*each) for each in about["messages"]]
        self.message_counts: dict[str, int] = about["message_counts"]
        self.separator: str | None = about["separator"]
        self._ranges = {int(place): tuple(ends) for place, ends in about["ranges"].items()}

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(self.states.values())

    def of_role(self, role: str) -> list[Column]:
        """The columns with this role."""
        return [column for column in self.columns if column.role == role]

    def range_of(self, column: Column) -> tuple[float, float]:
        """The smallest and the largest number of a column of numbers."""
        low, high = self._ranges[column.place]
        return low, high

    def count(self, choice: Choice) -> int:
        """Number of rows that `choice` selects."""
        where, values = self._where(choice)
        return int(self._database.execute(f"SELECT COUNT(*) FROM rows{where}", values).fetchone()[0])  # noqa: S608

    def rows(self, choice: Choice, size: int) -> list[tuple[int, str, list[str | float]]]:
        """One page of `size` rows: the number and the state of each, and its cells."""
        where, values = self._where(choice)
        order = "row"
        column = next((each for each in self.columns if each.place == choice.sort), None)
        if column is not None:
            collation = "" if column.is_number else " COLLATE NOCASE"
            direction = "DESC" if choice.descending else "ASC"
            order = f"{column.has_value} DESC, {column.sql}{collation} {direction}, row"
        elif choice.descending:
            order = "row DESC"
        query = f"SELECT row FROM rows{where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        numbers = [row for [row] in self._database.execute(query, [*values, size, (choice.page - 1) * size])]
        names = ", ".join(each.sql for each in self.columns)
        query = f"SELECT row, state, {names} FROM rows WHERE row IN ({', '.join('?' * len(numbers))})"  # noqa: S608
        found = {row: (row, state, cells) for row, state, *cells in self._database.execute(query, numbers)}
        return [found[number] for number in numbers]

    def histogram(self, choice: Choice, column: Column, low: float, width: float, bins: int) -> list[int]:
        """Number of rows in each of `bins` intervals of `width` from `low`; the last one includes its upper end."""
        where, values = self._where(choice, column.has_value)
        counts = [0] * bins
        # A number just below an edge, such as 0.15 / 0.05, belongs to the upper interval.
        place = f"MAX(0, MIN({bins - 1}, CAST(({column.sql} - ?) / ? + 1e-9 AS INTEGER)))"
        query = f"SELECT {place}, COUNT(*) FROM rows{where} GROUP BY 1"  # noqa: S608
        for position, count in self._database.execute(query, [low, width, *values]):
            counts[position] = count
        return counts

    def spread(self, choice: Choice, column: Column) -> tuple[float, float, float] | None:
        """The smallest number, the lower median and the largest number of a column; None if no row has one."""
        where, values = self._where(choice, column.has_value)
        query = f"SELECT COUNT(*), MIN({column.sql}), MAX({column.sql}) FROM rows{where}"  # noqa: S608
        count, low, high = self._database.execute(query, values).fetchone()
        if not count:
            return None
        query = f"SELECT {column.sql} FROM rows{where} ORDER BY 1 LIMIT 1 OFFSET ?"  # noqa: S608
        [median] = self._database.execute(query, [*values, (count - 1) // 2]).fetchone()
        return low, median, high

    def _where(self, choice: Choice, *more: str) -> tuple[str, list[Any]]:
        """The SQL condition of `choice`, with its values."""
        conditions = list(more)
        values: list[Any] = []
        predictions = self.of_role(PREDICTION)
        if choice.label is not None and predictions:
            cell = predictions[0].sql
            conditions.append("state != ?")
            values.append(FAILED)
            if self.separator:
                conditions.append(f"instr(? || {cell} || ?, ? || ? || ?) > 0")
                values += [self.separator] * 3 + [choice.label, self.separator]
            else:
                conditions.append(f"{cell} = ?")
                values.append(choice.label)
        if choice.state is not None:
            conditions.append("state = ?")
            values.append(choice.state)
        if choice.message is not None:
            conditions.append("(state, message) = (SELECT state, message FROM rows WHERE row = ?)")
            values.append(choice.message)
        return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


@contextmanager
def opened(path: Path) -> Iterator[Results]:
    """The results in a file that `results_writer.write_results` wrote."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        yield Results(database)
