"""Cells of files with types, as the cells of a CSV file, and back. How a model reads a cell is the contract's rule."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from fastmar_contract.cells import NULLS

TEXT, INTEGER, NUMBER, DATE, DATETIME = "text", "integer", "number", "date", "datetime"  # kinds of columns
MAX_DIGITS = 15  # of an integer that is exact as a float
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(rf"-?(0|[1-9]\d{{0,{MAX_DIGITS - 1}}})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)


def cell_text(value: Any) -> str:
    """The cell of a CSV file for a value of another file; empty for a missing one."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() and value.tzinfo is None else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    return f"{sign}{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:02g}"


def number_of(cell: str) -> float | None:
    """The number in a cell; None if it is none, or would be shown otherwise than it is written, such as 007."""
    if not _NUMBER.fullmatch(cell):
        return None
    number = float(cell)
    is_exact = len(cell) <= MAX_DIGITS or not cell.lstrip("-").isdigit()
    return number if is_exact and math.isfinite(number) else None


def _integer(cell: str) -> int | None:
    return int(cell) if _INTEGER.fullmatch(cell) else None


def _parser(pattern: re.Pattern[str], parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(cell: str) -> Any:
        try:
            return parse(cell) if pattern.fullmatch(cell) else None
        except ValueError:  # such as February 30th
            return None

    return read


_READERS: dict[str, Callable[[str], Any]] = {
    INTEGER: _integer,
    NUMBER: number_of,
    DATE: _parser(_DATE, date.fromisoformat),
    DATETIME: _parser(_DATETIME, datetime.fromisoformat),
}


def column_kinds(width: int, rows: Iterable[Sequence[str]]) -> list[str]:
    """The kind of each column: the first of integer, number, date and datetime that all its cells are, else text.

    Null words are missing values, unless the column has texts. A column of them alone is text.
    """
    possible = [dict(_READERS) for _ in range(width)]
    has_values = [False] * width
    for row in rows:
        for place, cell in enumerate(row):
            if not possible[place] or cell in NULLS:
                continue
            has_values[place] = True
            for kind, read in list(possible[place].items()):
                if read(cell) is None:
                    del possible[place][kind]
    return [next(iter(kinds), TEXT) if has else TEXT for kinds, has in zip(possible, has_values, strict=True)]


def typed_cell(cell: str, kind: str) -> Any:
    """The value of a cell in a column of a kind; None for a missing one."""
    if kind == TEXT:
        return cell or None
    return None if cell in NULLS else _READERS[kind](cell)
