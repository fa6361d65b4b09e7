"""Read sample requests from files, and send them to one version of a model.

The files are those that `fastmar predict` reads. Each request has one record, so that each record gets its own answer
or error. A record is sent in the format of its file, so that the comparison covers the parsing of that format.
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
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.files import CSV, JSON, LINES, PICTURE, InputUnreadable, is_picture, read_input, read_picture
from fastmar_contract.members import SCHEMA, read_member
from fastmar_serving.archives import UNREADABLE
from fastmar_serving.notices import notice

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One sample request.

    Attributes:
        where: its source for messages, such as "rows.csv, record 17".
        data: the body, or the path of a picture, which is read on sending.
        content_type: media type of the body.
    """

    where: str
    data: bytes | Path
    content_type: str = JSON

    @classmethod
    def record(cls, where: str, record: Any) -> Request:
        """A request with one record as JSON."""
        return cls(where, json.dumps(record).encode())

    def body(self) -> bytes:
        """The bytes to send."""
        return read_picture(self.data) if isinstance(self.data, Path) else self.data


def send_request(client: Client, name: str, version: str, request: Request) -> list[Answer]:
    """The answers of a version, usually one. A refusal, failure or timeout becomes `{"error": {...}}`.

    Raises:
        ClientError: the server can't be reached, or rejects the key.
    """
    try:
        return client.predict_body(name, request.body(), request.content_type, version)
    except (RecordRefused, ServerFailed, Timeout) as error:
        return [error.as_dict()]


def read_requests(sources: Sequence[str], archive: Path) -> Iterator[Request]:
    """All requests in files that `fastmar predict` reads, in order. `archive` supplies the column names for CSV files.

    Logs a warning with the number of unreadable CSV rows, which are skipped.

    Raises:
        InputUnreadable: a file does not exist, or has no records.
        TableUnreadable: the header of a CSV has no column of the model.
    """
    columns = _columns(archive)
    for source in sources:
        if is_picture(source):
            yield Request(Path(source).name, Path(source), PICTURE)
            continue
        body, content_type = read_input(source)
        skipped: list[str] = []
        try:
            for number, (data, kind) in enumerate(split(body, content_type, columns, skipped.append)):
                yield Request(f"{Path(source).name}, record {number}", data, kind)
        except (InputUnreadable, TableUnreadable) as error:
            error.message = f"{source}: {error.message}"
            raise
        if skipped:
            rows = "1 unreadable row" if len(skipped) == 1 else f"{len(skipped)} unreadable rows"
            notice(f"{Path(source).name}: skipped {rows}; the first: {skipped[0]}")


def split(
    body: bytes, content_type: str, columns: Sequence[str], on_skip: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[bytes, str]]:
    """Split the content of a file into request bodies with one record each, and their media types.

    Skips CSV rows whose number of cells differs from the header's, and calls `on_skip` with the reason.

    Raises:
        InputUnreadable: the content is not valid for its type.
        TableUnreadable: the header has none of the `columns`.
    """
    if content_type == CSV:
        rows = CsvFile(io.BytesIO(body), columns)
        for row in rows:
            if row.error is not None:
                on_skip(row.error.message)
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


def sample(items: Iterable[T], limit: int, seed: int = 0) -> list[T]:
    """A uniform random sample of at most `limit` items, in their order (reservoir sampling with a fixed seed)."""
    chosen: list[tuple[int, T]] = []
    generator = random.Random(seed)  # noqa: S311 - a sample, no secret
    for position, item in enumerate(items):
        if len(chosen) < limit:
            chosen.append((position, item))
        elif (place := generator.randrange(position + 1)) < limit:
            chosen[place] = (position, item)
    return [item for _, item in sorted(chosen, key=lambda pair: pair[0])]


def _columns(archive: Path) -> list[str]:
    """Column names of a model; empty if the archive has no readable schema."""
    try:
        with zipfile.ZipFile(archive) as file:
            return list(Schema(json.loads(read_member(file, SCHEMA))).names)
    except UNREADABLE:
        return []


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "correct the JSON, or give a CSV file the extension .csv."
        raise InputUnreadable(f"the input is not valid JSON ({error}).", fix=fix) from error
