"""Reads tables with the truth of records: CSV, Parquet or JSON lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastmar_contract.csv_rows import NO_HEADER, CsvFile
from fastmar_contract.display import short_repr
from fastmar_contract.errors import TableUnreadable
from fastmar_monitor.errors import TruthUnreadable
from fastmar_monitor.feedback.answer_log import key_of
from fastmar_monitor.feedback.kinds import AnswerKind, is_missing
from fastmar_monitor.sources.live import as_time
from fastmar_monitor.stores import LINES, PARQUET, ending, json_lines, open_files, parquet_rows

REQUEST_ID, ROW, TIME = "request_id", "row", "time"  # columns; the last two are optional
TABLES = (".csv", ".tsv", ".tab")
EXAMPLES = 3

_ENDINGS = (*TABLES, *LINES, *PARQUET)


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth of a record: the numbers that its kind reads, and when it became known, if the table says so."""

    values: tuple[float, ...]
    time: datetime | None = None


@dataclass
class Truths:
    """The truths of records.

    Attributes:
        by_key: the truth of each record.
        rows: rows that were read.
        empty: number of rows without a truth.
        repeated: number of rows that repeat the truth of an earlier row.
        conflicting: number of rows with another truth than an earlier row; the last row is used.
        invalid: number of rows that can't be read.
        examples: texts of the first ones of these.
    """

    by_key: dict[str, Truth] = field(default_factory=dict)
    rows: int = 0
    empty: int = 0
    repeated: int = 0
    conflicting: int = 0
    invalid: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, rows: Iterable[dict[str, Any] | None], kind: AnswerKind, columns: Sequence[str]) -> None:
        """Add the rows of a table; None is one that can't be read."""
        for row in rows:
            self.rows += 1
            try:
                self._add(row or {}, kind, columns)
            except (KeyError, TypeError, ValueError):
                self.invalid += 1
                if len(self.examples) < EXAMPLES:
                    self.examples.append(short_repr([row.get(name) for name in columns] if row else row))

    def _add(self, row: dict[str, Any], kind: AnswerKind, columns: Sequence[str]) -> None:
        request_id, number = row[REQUEST_ID], row.get(ROW) or 0  # null, or an empty cell
        if is_missing(request_id) or request_id == "":
            raise ValueError("no request id")
        values = kind.truth([row[name] for name in columns])
        if values is None:
            self.empty += 1
            return
        key = key_of(str(request_id), 0 if is_missing(number) else int(float(number)))
        time = None
        with suppress(TypeError, ValueError):  # an empty cell
            time = as_time(row.get(TIME))
        truth, before = Truth(tuple(values), time), self.by_key.get(key)
        if before is not None and before.values == truth.values:
            self.repeated += 1
            return
        self.conflicting += before is not None
        self.by_key[key] = truth


def read_truths(tables: Sequence[str], kind: AnswerKind, columns: Sequence[str]) -> Truths:
    """The truths of tables, in their order.

    Args:
        tables: paths or URLs of files.
        kind: the kind of the model's answers.
        columns: the columns with the truth.

    Raises:
        TruthUnreadable: a table does not exist, lacks a column, or has an unsupported ending.
        MonitorError: a file can't be read.
    """
    found = Truths()
    for table in tables:
        name = None
        for name, file in open_files(table, _ENDINGS):
            found.add(_rows(name, file, (REQUEST_ID, *columns)), kind, columns)
        if name is None:
            raise TruthUnreadable(
                f"{table} is neither a file nor a folder with tables.", fix=f"pass files with {', '.join(_ENDINGS)}."
            )
    return found


def listed(texts: Iterable[str], count: int) -> str:
    """The first of `count` texts, and the number of the others."""
    shown = list(texts)
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")


def _rows(name: str, file: Any, required: Sequence[str]) -> Iterator[dict[str, Any] | None]:
    """The rows of a file by column; None for one that can't be read."""
    if ending(name) in TABLES:
        yield from _csv(name, file, required)
    elif ending(name) in PARQUET:
        yield from _checked(name, parquet_rows(name, file, (*required, ROW, TIME)), required)
    elif ending(name) in LINES:
        yield from _checked(name, json_lines(file), required)
    else:
        raise TruthUnreadable(f"{name} has an unsupported file type.", fix=f"use one of {', '.join(_ENDINGS)}.")


def _csv(name: str, file: Any, required: Sequence[str]) -> Iterator[dict[str, Any] | None]:
    try:
        table = CsvFile(file, (*required, ROW, TIME), name=name, encoding_fix="save the file as UTF-8.")
    except TableUnreadable as error:
        if error.code == NO_HEADER:
            _check(name, (), required)
        raise
    with closing(table):
        _check(name, table.header, required)
        for row in table:
            yield None if row.error else dict(zip(table.header, row.cells, strict=True))


def _checked(name: str, rows: Iterable[Any], required: Sequence[str]) -> Iterator[dict[str, Any] | None]:
    """The rows; a column that none of them has is an error."""
    columns: set[str] | None = None
    for row in rows:
        found = row if isinstance(row, dict) else None
        columns = (columns or set()) | (found or {}).keys()
        yield found
    if columns is not None:
        _check(name, columns, required)


def _check(name: str, columns: Collection[str], required: Sequence[str]) -> None:
    missing = [each for each in required if each not in columns]
    if missing:
        raise TruthUnreadable(
            f"{name} has no column {', '.join(map(repr, missing))}.",
            fix="give the column of the truth with --column, and call the column of the request ids request_id.",
            code="truth_column_missing",
        )
