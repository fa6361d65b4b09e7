"""Request bodies to records, and answers to response bodies.

Understood are one JSON record, a JSON list of records, ``{"instances": [...]}``, JSON lines, and the Open Inference
Protocol's ``{"inputs": [...]}``; for tables CSV with a header; for models of pictures a picture as the body, and
multipart forms. Answers come back in the shape of the request.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from fastmar_runtime import picture_bodies, protocol_v2, refusals
from fastmar_runtime.csv_records import read_csv
from fastmar_runtime.errors import RecordError, RequestError
from fastmar_runtime.report import shown
from fastmar_runtime.spec import TABULAR, VISION, Spec

JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonlines"
_LINES_TYPES = (
    LINES_TYPE,
    "application/x-ndjson",
    "application/x-jsonlines",
    "application/jsonl",
    "application/ndjson",
)

TOO_MANY = "too_many_records"  # the code of a refusal that is answered with status 413

ONE, LIST, INSTANCES, LINES, V2 = "one", "list", "instances", "lines", "v2"

_FORMATS = "send a JSON record, a JSON list of records, JSON lines, or CSV with a header and Content-Type: text/csv."
_FIXES = {TABULAR: _FORMATS, VISION: picture_bodies.FORMATS}
_FORM_FIX = (
    "send the record as the body with Content-Type: application/json; "
    "with curl, add -H 'Content-Type: application/json'."
)


@dataclass(slots=True)
class Request:
    """What a body asks: records (a `RecordError` for one that can not be read), and the shape of the answer."""

    records: list[Any]
    shape: str = LIST
    envelope: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and Content-Type of an answer."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE


def read(
    body: Any,
    content_type: str | None,
    spec: Spec,
    parts: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> Request:
    """Records of a request.

    Args:
        body: bytes or text, or what a server already parsed as JSON.
        content_type: the request's header, or None.
        spec: of the model that is asked.
        parts: what came beside the body, such as the query of a request.
        most: records to stop at where they are made one by one, as of CSV; those of a JSON list are there already.

    Raises:
        RequestError: it can't be read as records.
    """
    media_type = (content_type or "").split(";")[0].strip().lower()
    request = _OWN_FORMATS[spec.kind](body, media_type, spec, parts or {}, most)
    if request is not None:
        return request
    if isinstance(body, bytes | bytearray | memoryview | str):
        if media_type in _LINES_TYPES:
            return Request(_read_lines(body, most), LINES)
        body = _read_json(body, _FIXES[spec.kind])
    return _from_json(body, spec, most)


def read_form(parts: Mapping[str, Any], spec: Spec) -> Request:
    """Records of a multipart form: bytes and texts by the names of its parts.

    Raises:
        RequestError: the model does not read forms, or there is no picture in it.
    """
    if spec.kind != VISION:
        raise RequestError("the request has no body, or is a form, which this model does not read.", fix=_FORM_FIX)
    pictures = picture_bodies.form_pictures(parts)
    return Request(list(pictures), ONE if len(pictures) == 1 else LIST)


def _table_formats(
    body: Any,
    media_type: str,
    spec: Spec,
    parts: Mapping[str, Any],  # noqa: ARG001
    most: int | None,
) -> Request | None:
    return Request(read_csv(_text(body), spec.fields, most)) if media_type == "text/csv" else None


def _picture_formats(
    body: Any,
    media_type: str,
    spec: Spec,  # noqa: ARG001
    parts: Mapping[str, Any],
    most: int | None,  # noqa: ARG001
) -> Request | None:
    picture = picture_bodies.body_picture(body, media_type, picture_bodies.option(parts))
    return None if picture is None else Request([picture], ONE)


_OWN_FORMATS: dict[str, Callable[[Any, str, Spec, Mapping[str, Any], int | None], Request | None]] = {
    TABULAR: _table_formats,
    VISION: _picture_formats,
}


def _from_json(data: Any, spec: Spec, most: int | None) -> Request:
    if isinstance(data, list):
        return Request(data)
    if not isinstance(data, dict):
        raise RequestError(f"found {shown(data)} where a record belongs.", fix=_FIXES[spec.kind])
    columns = {f.name for f in spec.fields}
    if "instances" in data and "instances" not in columns:
        if isinstance(data["instances"], list):
            return Request(data["instances"], INSTANCES)
        raise RequestError(
            f"instances is {shown(data['instances'])}, where a list of records belongs.",
            fix='send {"instances": [RECORD, ...]}, also for one record.',
        )
    if isinstance(data.get("inputs"), list) and "inputs" not in columns:
        return Request(protocol_v2.read(data, most), V2, data)
    return Request([data], ONE)


def _read_json(body: Any, fix: str) -> Any:
    if not len(body):
        raise RequestError("the request has no body.", fix=fix)
    try:
        return orjson.loads(_text(body))
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is no valid JSON ({error}).", fix=fix) from error


def _read_lines(body: Any, most: int | None) -> list[Any]:
    lines = enumerate(io.StringIO(_text(body), newline="\n"), start=1)
    return list(islice((_read_line(line, number) for number, line in lines if line.strip()), most))


def _read_line(line: str, number: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return RecordError("bad_json", f"line {number} is no valid JSON ({error}).", fix="send one record a line.")


def _text(body: Any) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise RequestError(f"found {shown(body)} where text belongs.", fix=_FORMATS)
    try:
        return bytes(body).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 ({error.reason}).", fix="encode it as UTF-8.") from error


def write(request: Request, answers: Sequence[dict[str, Any]], spec: Spec) -> Response:
    """The response to `request`: status 200, or 400 where no record of it could be scored.

    JSON lines are answered with 200 whatever they hold: batch jobs cut a file anywhere, and a part of bad lines alone
    must not fail the job.
    """
    answers = refusals.numbered(answers)
    status = 400 if answers and all("error" in answer for answer in answers) else 200
    if request.shape == ONE:
        return Response(status, orjson.dumps(answers[0]))
    if request.shape == INSTANCES:
        return Response(status, orjson.dumps({"predictions": answers}))
    if request.shape == LINES:
        return Response(200, b"".join(orjson.dumps(answer) + b"\n" for answer in answers), LINES_TYPE)
    if request.shape == V2:
        refused = next((answer for answer in answers if "error" in answer), None)
        body = protocol_v2.refuse(refused["error"]) if refused else protocol_v2.write(request.envelope, answers, spec)
        return Response(400 if refused else 200, orjson.dumps(body))
    return Response(status, orjson.dumps(answers))


def refused(error: RequestError) -> Response:
    """The response to a request that can't be read, or asks for too much."""
    return Response(413 if error.code == TOO_MANY else 400, orjson.dumps(error.as_dict()))


def least_bytes(spec: Spec) -> int:
    """Bytes that the answer to a record has at least, where it is scored."""
    shortest: dict[str, Any] = {"prediction": 0, "warnings": []}
    if spec.decode["decoder"] in ("category", "multi_category"):
        labels = sorted(map(str, spec.decode["vocab"]), key=len)[: spec.decode.get("top")]
        shortest["probabilities"] = dict.fromkeys(labels, 0.0)
    return len(orjson.dumps(shortest))
