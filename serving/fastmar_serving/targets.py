"""Targets of `predict`, `score`, `recommend` and `generate`: an archive in this process, or a served model."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from fastmar_client.records import with_record_number
from fastmar_contract.errors import FastmarError, RecordError
from fastmar_contract.files import CSV, PICTURE, InputUnreadable, as_utf8, names_of, read_picture
from fastmar_contract.urls import is_url
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.modalities import modality
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import IMAGE, Field, Spec

if TYPE_CHECKING:
    from fastmar_client import Client, Scored
    from fastmar_client.scoring import RowModel
    from fastmar_contract.masks import MaskSize

Answers = Iterator[dict[str, Any]]

PICTURES_AT_ONCE = 16  # limits memory, and the time until the first answer


class ClientMissing(FastmarError):
    """The target is a served model, and the client is not installed."""

    code = "client_missing"


class Target(Protocol):
    """A model; answers come in the order of the inputs."""

    def schema(self) -> dict[str, Any]:
        """The model's schema, as `Client.schema` returns it."""
        ...

    def applies_exif(self) -> bool:
        """Whether it applies the EXIF orientation of photos."""
        ...

    def records(self, body: bytes, content_type: str) -> Answers:
        """Answers to a body of records, or to a picture."""
        ...

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """Answers to files of pictures, with their names; a file that can't be read gets an error."""
        ...

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """Score a CSV file; `options` are those of `Client.score_csv`."""
        ...

    def stream(self, text: str, tokens: int, **options: Any) -> Iterator[str]:
        """What follows `text`, in parts; `options` are those of `Client.generate`."""
        ...


def open_target(
    target: str, key_file: Path | None, mask_size: MaskSize | None = None, gpu: int | None = None
) -> Target:
    """Open a target.

    Args:
        target: the URL of a served model, or the path of an archive.
        key_file: has the key of a served model.
        mask_size: the size of masks.
        gpu: the CUDA device of an archive, where ONNX Runtime has CUDA; None for the CPU.
    """
    if is_url(target) or ("/predictions/" in target and not Path(target).exists()):
        return ServedTarget(target, key_file, mask_size)
    return ArchiveTarget(target, mask_size, gpu)


class ArchiveTarget:
    """An archive in this process; its golden records are replayed first.

    Attributes:
        predictor: the model.
    """

    def __init__(self, path: str, mask_size: MaskSize | None, gpu: int | None = None) -> None:
        from fastmar_runtime.golden import replay_golden  # noqa: PLC0415 - imports ONNX Runtime
        from fastmar_runtime.predictor import Predictor  # noqa: PLC0415

        self._mask_size = mask_size
        self.predictor = Predictor.open(path, gpu=gpu)
        replay_golden(self.predictor)

    def schema(self) -> dict[str, Any]:
        """See `Target`."""
        return describe(self.predictor.spec)

    @property
    def identity(self) -> str:
        """Identifies the model and version, so that a run is not resumed with another model."""
        from fastmar_serving.archive_rows import identity_of  # noqa: PLC0415

        return identity_of(self.predictor.spec)

    def applies_exif(self) -> bool:
        """See `Target`."""
        return any(step.get("exif_transpose") for step in self.predictor.spec.steps)

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`."""
        from fastmar_serving.archive_rows import ArchiveRowModel  # noqa: PLC0415

        spec = self.predictor.spec
        if content_type == CSV:
            traits = modality(spec.kind)
            _check_table(spec.name, traits.records, reads_csv=traits.reads_csv)
            yield from _csv_answers(ArchiveRowModel(self.predictor), body)
        else:
            yield from self.predictor.predict(_records(body, content_type, spec, self._mask_size))

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        spec = self.predictor.spec
        if not modality(spec.kind).reads_files:
            raise InputUnreadable(
                f"{paths[0]} is a picture, but {spec.name} reads {spec.kind} records.",
                fix="pass a file of records: .json, .jsonl or .csv.",
                code="picture_not_supported",
            )
        names = names_of(paths)
        for start in range(0, len(paths), PICTURES_AT_ONCE):
            chunk = paths[start : start + PICTURES_AT_ONCE]
            for position, answer in enumerate(self._predict_files(chunk), start):
                yield _with_name(answer, names[position], position)

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """See `Target`."""
        from fastmar_client.scoring import score_csv  # noqa: PLC0415
        from fastmar_serving.archive_rows import ArchiveRowModel  # noqa: PLC0415

        return score_csv(ArchiveRowModel(self.predictor), source, target, **options)

    def stream(self, text: str, tokens: int, **options: Any) -> Iterator[str]:
        """See `Target`. There is one part."""
        from fastmar_client.generation import continuation, generate_record  # noqa: PLC0415

        [answer] = self.predictor.predict([generate_record(self.schema(), text, tokens, **options)])
        if "error" in answer:
            raise RecordError.from_dict(answer["error"])
        yield continuation(answer)

    def _predict_files(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        from fastmar_contract.masks import MODEL_SIZE  # noqa: PLC0415

        return self.predictor.predict([_picture(path, self._mask_size or MODEL_SIZE) for path in paths])


class ServedTarget:
    """A served model."""

    def __init__(self, url: str, key_file: Path | None, mask_size: MaskSize | None) -> None:
        base, _, rest = url.partition("/predictions/")
        self._name, _, version = unquote(rest).strip("/").partition("/")
        self._version = version or None
        if not self._name:
            raise InputUnreadable(
                f"{url} has no model name.", fix=f"use {url.rstrip('/')}/predictions/NAME.", code="no_model_name"
            )
        self._client = _client(base, key_file)
        self._mask_size = mask_size

    def schema(self) -> dict[str, Any]:
        """See `Target`."""
        return self._client.schema(self._name, self._version)

    def applies_exif(self) -> bool:
        """See `Target`."""
        image = self.schema()["record"].get("properties", {}).get(IMAGE, {})
        return bool(image.get("x-fastmar", {}).get("exif_transpose"))

    def records(self, body: bytes, content_type: str) -> Answers:
        """See `Target`. The body is read in this process, as for an archive, so that both give the same answers."""
        from fastmar_client.schema import Schema  # noqa: PLC0415
        from fastmar_client.served import ServedRowModel  # noqa: PLC0415

        if content_type == PICTURE:
            yield from self._predict_pictures([body])
        elif content_type == CSV:
            rows = ServedRowModel(self._client, self._name, self._version)
            schema = Schema(rows.schema)
            _check_table(schema.name, schema.traits.records, reads_csv=schema.reads_csv)
            yield from _csv_answers(rows, body)
        else:
            spec = _spec(self.schema())
            try:
                records = _records(body, content_type, spec, self._mask_size)
            except BundleUnreadable:  # the modality is not installed here
                yield from self._client.predict_body(self._name, body, content_type, self._version)
            else:
                yield from self._predict(records)

    def pictures(self, paths: Sequence[Path]) -> Answers:
        """See `Target`."""
        names = names_of(paths)
        for position, answer in enumerate(self._predict_pictures(paths, batch_size=PICTURES_AT_ONCE, concurrency=2)):
            yield _with_name(answer, names[position], position)

    def score(self, source: Path, target: Path, **options: Any) -> Scored:
        """See `Target`."""
        return self._client.score_csv(self._name, source, target, version=self._version, **options)

    def stream(self, text: str, tokens: int, **options: Any) -> Iterator[str]:
        """See `Target`."""
        return self._client.stream(self._name, text, tokens, version=self._version, **options)

    def _predict_pictures(self, pictures: Sequence[Any], **options: Any) -> Answers:
        return self._client.predict_many(
            self._name, pictures, version=self._version, mask_size=self._mask_size, **options
        )

    def _predict(self, records: Sequence[Any]) -> Answers:
        """Answers to the records of a body; a record that could not be read is an error already."""
        from fastmar_client.encoding import Part, encode  # noqa: PLC0415

        # As parts, so that the client does not treat a string among the records as the path of a file.
        readable: Iterator[Any] = (Part(encode(record)) for record in records if not isinstance(record, RecordError))
        answers = self._client.predict_many(self._name, readable, version=self._version)
        for position, record in enumerate(records):
            if isinstance(record, RecordError):
                yield record.as_dict(position)
            else:
                yield with_record_number(next(answers), position)


def _client(base: str, key_file: Path | None) -> Client:
    try:
        from fastmar_client import Client  # noqa: PLC0415 - imports requests

        return Client(base, key_file=key_file)
    except ModuleNotFoundError as error:
        raise ClientMissing(
            f"{error.name} is not installed.",
            fix="pip install '.[client]' in a checkout of fastmar, or pip install 'fastmar[client]'.",
        ) from error


def _spec(schema: dict[str, Any]) -> Spec:
    """The part of a served model's spec that is required to read a JSON body."""
    fields = tuple(Field(name, "") for name in schema["record"].get("properties", {}))
    return Spec(0, schema["name"], schema["version"], schema["kind"], "", fields, (), (), (), {}, ())


def _check_table(name: str, records: str, *, reads_csv: bool) -> None:
    if not reads_csv:
        raise InputUnreadable(
            f"the input is a table, but {name} reads {records}.",
            fix=f"pass {records}, or records as .json or .jsonl, in the format that `fastmar inspect` shows.",
            code="table_not_supported",
        )


def _csv_answers(model: RowModel, body: bytes) -> Answers:
    """Answers to the rows of a CSV, for archives and servers."""
    from fastmar_client.schema import Schema  # noqa: PLC0415
    from fastmar_client.scoring import answer_rows  # noqa: PLC0415
    from fastmar_contract.csv_rows import CsvFile  # noqa: PLC0415

    rows = CsvFile(io.BytesIO(as_utf8(body)), Schema(model.schema).names)
    position = 0
    for _, answers in answer_rows(model, rows):
        for answer in answers:
            yield with_record_number(answer, position)
            position += 1


def _picture(path: Path, mask_size: str) -> Any:
    from fastmar_runtime.pictures import Picture  # noqa: PLC0415

    try:
        return Picture(read_picture(path), path.name, mask_size)
    except InputUnreadable as error:
        return RecordError("file_unreadable", error.message, fix=error.fix)


def _records(body: bytes, content_type: str, spec: Spec, mask_size: MaskSize | None) -> list[Any]:
    """The records of a body; `mask_size` is added to records of pictures."""
    from fastmar_runtime import payload  # noqa: PLC0415

    traits = modality(spec.kind)
    options = {"mask_size": mask_size} if mask_size else {}
    return [traits.with_options(record, options) for record in payload.read(body, content_type, spec).records]


def _with_name(answer: dict[str, Any], name: str, position: int) -> dict[str, Any]:
    """Add the file's name to an answer, and set the record number of an error."""
    return {"name": name, **with_record_number(answer, position)} | {"name": name}  # the first member
