"""Targets of `predict`: an archive in this process, or a served model, behind one protocol."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import orjson

from fastmar_cli.inputs import CSV, JSON, PICTURE, InputUnreadable, read_picture
from fastmar_runtime.spec import VISION

if TYPE_CHECKING:
    from fastmar_client import Client

Answers = Iterator[dict[str, Any]]

ROWS_A_REQUEST = 500  # of CSV: well below the server's limit on a request
PICTURES_AT_ONCE = 16  # more would only take memory, and keep people waiting for the first answer


class Target(Protocol):
    """A model that answers, in the order of what it is given."""

    def records(self, body: bytes, content_type: str) -> Answers:
        """Answers to a body of records, or to one picture."""
        ...

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """An answer to each picture's file, with its name; a file that can't be read is answered with an error."""
        ...


def open_target(target: str, key_file: Path | None, mask_size: str | None = None) -> Target:
    """What `target` names, a URL or an archive; masks that answer pictures come in `mask_size`."""
    if target.startswith(("http://", "https://")):
        return Served(target, key_file, mask_size)
    return Archive(target, mask_size)


class Archive:
    """An archive, run in this process."""

    def __init__(self, path: str, mask_size: str | None) -> None:
        from fastmar_runtime.predictor import Predictor  # noqa: PLC0415 - ONNX Runtime, where it is needed

        self._mask_size = mask_size
        self._predictor = Predictor.open(path)

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`."""
        from fastmar_runtime import payload  # noqa: PLC0415

        yield from self._predictor.predict(payload.read(body, content_type, self._predictor.spec).records)

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        spec = self._predictor.spec
        if spec.kind != VISION:
            raise InputUnreadable(
                f"{paths[0]} is a picture, and {spec.name} reads {spec.kind} records.",
                fix="give a file of records, .json, .jsonl or .csv.",
            )
        for start in range(0, len(paths), PICTURES_AT_ONCE):
            some = paths[start : start + PICTURES_AT_ONCE]
            for position, answer in enumerate(self._ask(some), start):
                yield _in_place(answer, paths[position], position)

    def _ask(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        from fastmar_runtime.pictures import MODEL_SIZE  # noqa: PLC0415

        return self._predictor.predict([_picture(path, self._mask_size or MODEL_SIZE) for path in paths])


class Served:
    """A served model, through `fastmar_client`, which sends many records in batches."""

    def __init__(self, url: str, key_file: Path | None, mask_size: str | None) -> None:
        from fastmar_client import Client  # noqa: PLC0415 - requests, where it is needed

        base, _, rest = url.partition("/predictions/")
        self._name, _, version = unquote(rest).strip("/").partition("/")
        self._version = version or None
        if not self._name:
            raise InputUnreadable(f"{url} names no model.", fix=f"give {url.rstrip('/')}/predictions/NAME.")
        self._client = Client(base, key_file=key_file)
        self._mask_size = mask_size

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`."""
        if content_type == CSV:
            for part in _csv_parts(body):
                yield from _ask_csv(self._client, self._name, self._version, part)
        elif content_type == PICTURE:
            yield from self._client.predict_many(self._name, [body], version=self._version)
        else:
            yield from self._client.predict_many(self._name, _records(body, content_type), version=self._version)

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        records = (_with_mask_size(path, self._mask_size) for path in paths) if self._mask_size else paths
        answers = self._client.predict_many(
            self._name, records, version=self._version, batch_size=PICTURES_AT_ONCE, concurrency=2
        )
        for position, answer in enumerate(answers):
            yield _in_place(answer, paths[position], position)


def _picture(path: Path, mask_size: str) -> Any:
    from fastmar_runtime.errors import RecordError  # noqa: PLC0415
    from fastmar_runtime.pictures import Picture  # noqa: PLC0415

    try:
        return Picture(read_picture(path), path.name, mask_size)
    except InputUnreadable as error:
        return RecordError("file_unreadable", error.message, fix=error.fix)


def _with_mask_size(path: Path, mask_size: str) -> Any:
    from fastmar_client import image_record  # noqa: PLC0415

    try:
        return {"name": path.name, **image_record(path), "mask_size": mask_size}
    except OSError:
        return path  # the client says what is wrong with it


def _in_place(answer: dict[str, Any], path: Path, position: int) -> dict[str, Any]:
    """`answer` with the file's name, and an error's record counted among all pictures."""
    if "error" in answer:
        answer = {**answer, "error": {**answer["error"], "record": position}}
    return {"name": path.name, **answer}


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
