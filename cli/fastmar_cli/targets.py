"""Targets of `predict` and `score`: an archive in this process, or a served model, behind one protocol."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from fastmar_contract.errors import FastmarError
from fastmar_contract.files import CSV, PICTURE, InputUnreadable, as_utf8, read_picture
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.modalities import modality
from fastmar_runtime.spec import IMAGE, Field, Spec

if TYPE_CHECKING:
    from fastmar_client import Client, Scored
    from fastmar_client.client import MaskSize
    from fastmar_client.scoring import Model

Answers = Iterator[dict[str, Any]]

PICTURES_AT_ONCE = 16  # more would only take memory, and keep people waiting for the first answer


class ClientMissing(FastmarError):
    """A served model is asked for, and what asks it is not installed."""

    code = "client_missing"


class Target(Protocol):
    """A model that answers, in the order of what it is given."""

    def turns_photos(self) -> bool:
        """Whether it sees photos as their cameras say that they are to be turned."""
        ...

    def records(self, body: bytes, content_type: str) -> Answers:
        """Answers to a body of records, or to one picture."""
        ...

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """An answer to each picture's file, with its name; a file that can't be read is answered with an error."""
        ...

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """Answer each row of a file of CSV in another; `options` are those of `Client.score_csv`."""
        ...


def open_target(target: str, key_file: Path | None, mask_size: MaskSize | None = None) -> Target:
    """What `target` names, a URL or an archive; masks that answer pictures come in `mask_size`."""
    if target.startswith(("http://", "https://")):
        return Served(target, key_file, mask_size)
    return Archive(target, mask_size)


class Archive:
    """An archive, run in this process, after its golden records were reproduced here."""

    def __init__(self, path: str, mask_size: MaskSize | None) -> None:
        from fastmar_runtime.golden import replay_golden  # noqa: PLC0415 - ONNX Runtime, where it is needed
        from fastmar_runtime.predictor import Predictor  # noqa: PLC0415

        self._mask_size = mask_size
        self._predictor = Predictor.open(path)
        replay_golden(self._predictor)

    def turns_photos(self) -> bool:
        """See `Target`."""
        return any(step.get("exif_transpose") for step in self._predictor.spec.steps)

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`."""
        from fastmar_cli.rows import ArchiveRows  # noqa: PLC0415

        spec = self._predictor.spec
        if content_type == CSV:
            reads = modality(spec.kind)
            _check_table(spec.name, reads.records, reads_csv=reads.reads_csv)
            yield from _csv_answers(ArchiveRows(self._predictor), body)
        else:
            yield from self._predictor.predict(_records(body, content_type, spec, self._mask_size))

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        spec = self._predictor.spec
        if not modality(spec.kind).reads_files:
            raise InputUnreadable(
                f"{paths[0]} is a picture, and {spec.name} reads {spec.kind} records.",
                fix="give a file of records, .json, .jsonl or .csv.",
            )
        for start in range(0, len(paths), PICTURES_AT_ONCE):
            some = paths[start : start + PICTURES_AT_ONCE]
            for position, answer in enumerate(self._ask(some), start):
                yield _in_place(answer, paths[position], position)

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """See `Target`."""
        from fastmar_cli.rows import ArchiveRows  # noqa: PLC0415
        from fastmar_client.scoring import score_csv  # noqa: PLC0415

        return score_csv(ArchiveRows(self._predictor), source, target, **options)

    def _ask(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        from fastmar_runtime.pictures import MODEL_SIZE  # noqa: PLC0415

        return self._predictor.predict([_picture(path, self._mask_size or MODEL_SIZE) for path in paths])


class Served:
    """A served model, through `fastmar_client`, which sends many records in batches."""

    def __init__(self, url: str, key_file: Path | None, mask_size: MaskSize | None) -> None:
        base, _, rest = url.partition("/predictions/")
        self._name, _, version = unquote(rest).strip("/").partition("/")
        self._version = version or None
        if not self._name:
            raise InputUnreadable(f"{url} names no model.", fix=f"give {url.rstrip('/')}/predictions/NAME.")
        self._client = _client(base, key_file)
        self._mask_size = mask_size

    def turns_photos(self) -> bool:
        """See `Target`."""
        image = self._client.schema(self._name, self._version)["record"].get("properties", {}).get(IMAGE, {})
        return bool(image.get("x-fastmar", {}).get("exif_transpose"))

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`. The body is read here as an archive in this process reads it, so that both answer the same."""
        from fastmar_client.schema import Schema  # noqa: PLC0415
        from fastmar_client.served import ServedRows  # noqa: PLC0415

        if content_type == PICTURE:
            yield from self._ask([body])
        elif content_type == CSV:
            rows = ServedRows(self._client, self._name, self._version)
            schema = Schema(rows.schema)
            _check_table(schema.name, schema.traits.records, reads_csv=schema.reads_csv)
            yield from _csv_answers(rows, body)
        else:
            spec = _spec(self._client.schema(self._name, self._version))
            try:
                records = _records(body, content_type, spec, self._mask_size)
            except BundleUnreadable:  # a modality that only the server has
                yield from self._client.predict_body(self._name, body, content_type, self._version)
            else:
                yield from self._answers(records)

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        for position, answer in enumerate(self._ask(paths, batch_size=PICTURES_AT_ONCE, concurrency=2)):
            yield _in_place(answer, paths[position], position)

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """See `Target`."""
        return self._client.score_csv(self._name, source, target, version=self._version, **options)

    def _ask(self, pictures: Sequence[Any], **options: Any) -> Answers:
        return self._client.predict_many(
            self._name, pictures, version=self._version, mask_size=self._mask_size, **options
        )

    def _answers(self, records: Sequence[Any]) -> Answers:
        """Answers to what was read of a body; what could not be read has its error already."""
        from fastmar_client.encoding import Part, encode  # noqa: PLC0415
        from fastmar_contract.errors import RecordError  # noqa: PLC0415

        # As parts: a string among records is one to the model, and must not become the path of a file.
        readable: Iterator[Any] = (Part(encode(record)) for record in records if not isinstance(record, RecordError))
        found = self._client.predict_many(self._name, readable, version=self._version)
        for position, record in enumerate(records):
            if isinstance(record, RecordError):
                yield record.as_dict(position)
            else:
                yield _numbered(next(found), position)


def _client(base: str, key_file: Path | None) -> Client:
    try:
        from fastmar_client import Client  # noqa: PLC0415 - requests, where it is needed

        return Client(base, key_file=key_file)
    except ModuleNotFoundError as error:
        raise ClientMissing(f"{error.name} is not installed.", fix="pip install 'fastmar[client]'") from error


def _spec(schema: dict[str, Any]) -> Spec:
    """As much of a served model's spec as is needed to read a body of JSON for it."""
    fields = tuple(Field(name, "") for name in schema["record"].get("properties", {}))
    return Spec(0, schema["name"], schema["version"], schema["kind"], "", fields, (), (), (), {}, ())


def _check_table(name: str, records: str, *, reads_csv: bool) -> None:
    if not reads_csv:
        raise InputUnreadable(
            f"this is a table, and {name} reads {records}.",
            fix=f"give {records}, or .json or .jsonl with records as `fastmar inspect` shows them.",
        )


def _csv_answers(model: Model, body: bytes) -> Answers:
    """Answers to the rows of a CSV, in one way for archives and servers."""
    from fastmar_client.schema import Schema  # noqa: PLC0415
    from fastmar_client.scoring import answered  # noqa: PLC0415
    from fastmar_contract.csv_rows import CsvFile  # noqa: PLC0415

    rows = CsvFile(io.BytesIO(as_utf8(body)), Schema(model.schema).names)
    position = 0
    for _, answers in answered(model, rows):
        for answer in answers:
            yield _numbered(answer, position)
            position += 1


def _picture(path: Path, mask_size: str) -> Any:
    from fastmar_contract.errors import RecordError  # noqa: PLC0415
    from fastmar_runtime.pictures import Picture  # noqa: PLC0415

    try:
        return Picture(read_picture(path), path.name, mask_size)
    except InputUnreadable as error:
        return RecordError("file_unreadable", error.message, fix=error.fix)


def _records(body: bytes, content_type: str, spec: Spec, mask_size: MaskSize | None) -> list[Any]:
    """What a body holds, as `payload.read` has it; records of pictures with the size of masks that was asked for."""
    from fastmar_runtime import payload  # noqa: PLC0415

    reads = modality(spec.kind)
    options = {"mask_size": mask_size} if mask_size else {}
    return [reads.with_options(record, options) for record in payload.read(body, content_type, spec).records]


def _in_place(answer: dict[str, Any], path: Path, position: int) -> dict[str, Any]:
    """`answer` with the file's name, and an error's record counted among all pictures."""
    return {"name": path.name, **_numbered(answer, position)}


def _numbered(answer: dict[str, Any], position: int) -> dict[str, Any]:
    return {**answer, "error": {**answer["error"], "record": position}} if "error" in answer else answer
