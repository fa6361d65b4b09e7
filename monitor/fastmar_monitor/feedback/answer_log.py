"""Reads the answers of a request log: JSON lines or Parquet, in a folder or an object store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from fastmar_contract.request_log import FORMAT
from fastmar_monitor.sources.live import as_time
from fastmar_monitor.stores import LINES, PARQUET, ending, json_lines, open_files, parquet_rows

COLUMNS = ("format", "time", "request_id", "row", "model", "version", "answer")


@dataclass(frozen=True, slots=True)
class Logged:
    """An answer of a log.

    Attributes:
        key: the key of the record; see `key_of`.
        time: the time of the answer, in UTC.
        model, version: the name and the version of the model that answered.
        answer: the answer, with a prediction, a list of items, a text, or an error.
    """

    key: str
    time: datetime
    model: str
    version: str
    answer: dict[str, Any]


def key_of(request_id: str, row: int) -> str:
    """The key of a record: its request's id, and its number in the request if it is not the first one, 0."""
    return f"{request_id}\0{row}" if row else request_id


def read_answers(data: str) -> Iterator[Logged | None]:
    """The answers of all files; None for a line that can't be read.

    Raises:
        MonitorError: a file can't be read.
    """
    for name, file in open_files(data, (*LINES, *PARQUET)):
        for row in parquet_rows(name, file, COLUMNS) if ending(name) in PARQUET else json_lines(file):
            yield _parse(row)


def _parse(row: Any) -> Logged | None:
    """The answer of a line, or of a row whose absent members are null and whose objects may be JSON."""
    try:
        answer = orjson.loads(row["answer"]) if isinstance(row["answer"], str) else row["answer"]
        if row["format"] != FORMAT or not isinstance(answer, dict):
            return None
        return Logged(
            key_of(str(row["request_id"]), int(row["row"])),
            as_time(row["time"]),
            str(row["model"]),
            str(row["version"]),
            {name: value for name, value in answer.items() if value is not None},
        )
    except (KeyError, TypeError, ValueError):  # orjson's error is a ValueError
        return None
