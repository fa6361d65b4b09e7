"""Requests out of files, and asking one version of a model for answers to them.

The files are those that `fastmar predict` reads. A record is sent alone, as most callers do, so that each gets its own
answer or error; it goes in the format of its file, because that is a part of what is tried.
"""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fastmar_client import Client, RecordRefused, ServerFailed, Timeout
from fastmar_client.schema import Schema
from fastmar_contract.agreement import Answer
from fastmar_contract.csv_rows import CsvFile
from fastmar_contract.files import CSV, JSON, LINES, PICTURE, InputUnreadable, is_picture, read_input, read_picture
from fastmar_contract.members import SCHEMA, read_member
from fastmar_serving.notices import notice
from fastmar_serving.torchserve.archives import UNREADABLE

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        where: what it is, for messages: "rows.csv, record 17".
        data: its body, or the path of a picture, which is read when it is sent.
        content_type: the body's.
    """

    where: str
    data: bytes | Path
    content_type: str = JSON

    @classmethod
    def record(cls, where: str, record: Any) -> Asked:
        """A request for one JSON record, or whatever else a model may take for one."""
        return cls(where, json.dumps(record).encode())

    def body(self) -> bytes:
        """What is sent."""
        return read_picture(self.data) if isinstance(self.data, Path) else self.data


def ask(client: Client, name: str, version: str, asked: Asked) -> list[Answer]:
    """A version's answers, nearly always one; a refusal, a failure and a time-out are answered `{"error": {...}}`.

    Raises:
        ClientError: the server can't be reached, or does not let us in.
    """
    try:
        return client.predict_body(name, asked.body(), asked.content_type, version)
    except (RecordRefused, ServerFailed, Timeout) as error:
        return [error.as_dict()]


def read_requests(sources: Sequence[str], archive: Path) -> Iterator[Asked]:
    """Every request in files as `fastmar predict` takes them, in their order; `archive` knows the columns of a CSV.

    How many rows of a CSV are left out is said after its others.

    Raises:
        InputUnreadable: a file is not there, or is none of records.
        TableUnreadable: a CSV's header names no column of the model.
    """
    columns = _columns(archive)
    for source in sources:
        if is_picture(source):
            yield Asked(Path(source).name, Path(source), PICTURE)
            continue
        body, content_type = read_input(source)
        left_out: list[str] = []
        for number, (data, kind) in enumerate(split(body, content_type, columns, left_out.append)):
            yield Asked(f"{Path(source).name}, record {number}", data, kind)
        if left_out:
            rows = "1 row" if len(left_out) == 1 else f"{len(left_out)} rows"
            notice(f"{Path(source).name}: {rows} can't be read and are left out; the first: {left_out[0]}")


def split(
    body: bytes, content_type: str, columns: Sequence[str], leave_out: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[bytes, str]]:
    """The body of a file as bodies of requests for one record each.

    A row that is none, since it has another length than the header, is left out: no version ever gets to see it, and
    `leave_out` is told the reason.

    Raises:
        InputUnreadable: it can't be read as what it is said to be.
        TableUnreadable: its header names none of the `columns`.
    """
    if content_type == CSV:
        rows = CsvFile(io.BytesIO(body), columns)
        for row in rows:
            if row.error is not None:
                leave_out(row.error.message)
            else:
                text = io.StringIO(newline="")
                csv.writer(text).writerows([rows.header, row.cells])
                yield text.getvalue().encode(), CSV
    elif content_type == LINES:
        for line in body.splitlines():
            if line.strip():
                _parsed(line)
                yield line, JSON
    elif content_type == JSON:
        data = _parsed(body)
        for record in data if isinstance(data, list) else [data]:
            yield json.dumps(record).encode(), JSON
    else:
        yield body, content_type


def sample(items: Iterable[T], most: int, seed: int = 0) -> list[T]:
    """At most `most` of them, each as likely as the others, in their order; the same ones at every call."""
    chosen: list[tuple[int, T]] = []
    dice = random.Random(seed)  # noqa: S311 - a sample, no secret
    for position, item in enumerate(items):
        if len(chosen) < most:
            chosen.append((position, item))
        elif (place := dice.randrange(position + 1)) < most:
            chosen[place] = (position, item)
    return [item for _, item in sorted(chosen, key=lambda pair: pair[0])]


def _columns(archive: Path) -> list[str]:
    """Names of a model's columns; none of an archive that does not say."""
    try:
        with zipfile.ZipFile(archive) as file:
            return list(Schema(json.loads(read_member(file, SCHEMA))).names)
    except UNREADABLE:
        return []


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "mend it, or name a CSV file .csv."
        raise InputUnreadable(f"the input is no valid JSON ({error}).", fix=fix) from error
