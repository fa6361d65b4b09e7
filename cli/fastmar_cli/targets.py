"""Targets of `predict`: an archive in this process, or a served model, behind one call."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from fastmar_cli.inputs import CSV, JSON, InputUnreadable

if TYPE_CHECKING:
    from fastmar_client import Client

Answers = Iterator[dict[str, Any]]
Target = Callable[[bytes, str], Answers]

ROWS_A_REQUEST = 500  # of CSV: well below the server's limit on a request


def open_target(target: str, key_file: Path | None) -> Target:
    """A function from a body and its Content-Type to answers, in order."""
    if target.startswith(("http://", "https://")):
        return _served(target, key_file)
    return _archive(target)


def _archive(path: str) -> Target:
    from fastmar_runtime import payload  # noqa: PLC0415 - ONNX Runtime, where it is needed
    from fastmar_runtime.predictor import Predictor  # noqa: PLC0415

    predictor = Predictor.open(path)

    def answers(body: bytes, content_type: str) -> Answers:
        yield from predictor.predict(payload.read(body, content_type, predictor.spec).records)

    return answers


def _served(url: str, key_file: Path | None) -> Target:
    """Through `fastmar_client`, which sends many records in batches."""
    from fastmar_client import Client  # noqa: PLC0415 - requests, where it is needed

    base, _, rest = url.partition("/predictions/")
    name, _, version = unquote(rest).strip("/").partition("/")
    if not name:
        raise InputUnreadable(f"{url} names no model.", fix=f"give {url.rstrip('/')}/predictions/NAME.")
    client = Client(base, key_file=key_file)

    def answers(body: bytes, content_type: str) -> Answers:
        if content_type == CSV:
            for part in _csv_parts(body):
                yield from _ask_csv(client, name, version or None, part)
        else:
            yield from client.predict_many(name, _records(body, content_type), version=version or None)

    return answers


def _records(body: bytes, content_type: str) -> list[Any]:
    try:
        if content_type == JSON:
            data = orjson.loads(body)
            return data if isinstance(data, list) else [data]
        return [orjson.loads(line) for line in body.splitlines() if line.strip()]
    except orjson.JSONDecodeError as error:
        fix = "mend it, or name a CSV file .csv."
        raise InputUnreadable(f"the input is no valid JSON ({error}).", fix=fix) from error


def _csv_parts(body: bytes) -> Iterator[list[list[str]]]:
    """The table in parts of at most `ROWS_A_REQUEST` rows, each with the header before them."""
    try:
        rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
        header = next(rows, [])
        while part := list(islice(rows, ROWS_A_REQUEST)):
            yield [header, *part]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputUnreadable(f"the input is no CSV in UTF-8 ({error}).", fix="save it as UTF-8.") from error


def _ask_csv(client: Client, name: str, version: str | None, rows: list[list[str]]) -> Answers:
    """Ask for the rows of one part; where all of them are refused, the server does not say which answer is whose."""
    from fastmar_client import RecordRefused  # noqa: PLC0415

    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    try:
        yield from client.predict_body(name, text.getvalue().encode(), CSV, version=version)
    except RecordRefused as refusal:
        if len(rows) == 2:  # a header and one row
            yield refusal.as_dict()
            return
        for row in rows[1:]:
            yield from _ask_csv(client, name, version, [rows[0], row])
