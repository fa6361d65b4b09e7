"""Request bodies to records, and answers to response bodies.

Accepted bodies are a JSON record, a JSON list of records, ``{"instances": [...]}``, JSON lines, JSON of other tools,
and the Open Inference Protocol's ``{"inputs": [...]}``; CSV with a header for tables; pictures for picture models;
and multipart forms of these. The response has the format of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fastmar_contract import media_types
from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError
from fastmar_contract.media_types import FORM, IMAGE, JSON, TABLE, MediaType
from fastmar_contract.media_types import LINES as JSON_LINES
from fastmar_contract.text import decode
from fastmar_runtime import protocol_v2, refusals
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.bodies import forms, json_shapes, json_text, multipart
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import INSTANCES, LINES, LIST, ONE, V2, Request
from fastmar_runtime.csv_records import names_columns, read_rows
from fastmar_runtime.modalities import Modality, modality
from fastmar_runtime.spec import Spec

__all__ = ["INSTANCES", "LINES", "LIST", "ONE", "V2", "Request", "Response", "read", "read_form", "refused", "write"]

JSON_TYPE = "application/json"
LINES_TYPE = "application/jsonlines"

TOO_MANY = "too_many_records"  # error code with status 413
RESPONSE_TOO_LARGE = "response_too_large"  # error code with status 413
ENCODED = "content_encoding"  # error code with status 415
_STATUSES = {TOO_MANY: 413, RESPONSE_TOO_LARGE: 413, ENCODED: 415}

_BRACKETS = ("{", "[", b"{", b"[")
_NO_HEADERS: Mapping[str, str] = {}
Bytes = bytes | bytearray | memoryview
_BYTES = (bytes, bytearray, memoryview)  # tuples, which isinstance checks faster than a union
_TEXT = (*_BYTES, str)


@dataclass(slots=True)
class Response:
    """An HTTP response: status, body, Content-Type and other headers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)  # not frozen, like Response: assigning the attributes of a frozen one takes three times as long
class _Body:
    """A body of bytes or text, with the parameters of `read`."""

    content: Bytes | str
    media_type: MediaType
    spec: Spec
    options: Mapping[str, Any]
    max_records: int | None
    v2: bool = False

    @property
    def modality(self) -> Modality:
        return modality(self.spec.kind)

    def text(self) -> str:
        return decode(self.content, self.media_type.parameters.get("charset"))


def read(
    body: Any,
    content_type: str | None,
    spec: Spec,
    parts: Mapping[str, Any] | None = None,
    max_records: int | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    v2: bool = False,
) -> Request:
    """Parse a request.

    Args:
        body: bytes or text, or a value that a server already parsed as JSON.
        content_type: header of the request, or None.
        spec: the spec of the model.
        parts: further parameters, such as the query of the request.
        max_records: number of records to stop reading at, for formats that are read record by record, such as CSV.
        headers: the headers of the request, by name in lower case.
        v2: whether the path is one of protocol v2.

    Raises:
        RequestError: it can't be read as records.
    """
    media_type = media_types.parse(content_type)
    try:
        if "content-encoding" in headers:
            _check_encoding(headers["content-encoding"])
        if isinstance(body, _BYTES) and (length := headers.get(protocol_v2.JSON_LENGTH)) is not None:
            return _read_binary_v2(bytes(body), length, spec, max_records)
        if isinstance(body, _TEXT):
            return _read_body(_Body(body, media_type, spec, parts or {}, max_records, v2))
        if media_type.format == TABLE:
            raise RequestError(f"the body must be text; got {short_repr(body)}.", fix=modality("tabular").formats)
        return _from_json(body, spec, max_records, v2)
    except RequestError as error:
        error.v2 = error.v2 or v2 or protocol_v2.JSON_LENGTH in headers
        raise


def read_form(
    parts: Mapping[str, Any], spec: Spec, max_records: int | None = None, content_types: Mapping[str, str] | None = None
) -> Request:
    """Parse the parts, by name, of a multipart form that a server has split.

    Raises:
        RequestError: no part can be read as records.
    """
    return _read_parts(forms.from_row(parts, content_types), spec, max_records, parts)


def _read_body(body: _Body) -> Request:
    if not len(body.content) and body.media_type.format != JSON_LINES:  # a batch job may send an empty part of a file
        raise RequestError("the request has no body.", fix=body.modality.formats_of(body.spec))
    request = None if body.v2 else body.modality.read_body(body.content, body.media_type, body.options)
    if request is not None:
        return request
    return _READERS[_detect_format(body)](body)


def _detect_format(body: _Body) -> str:
    """The format of a body, by the media type if it names one, else by the content."""
    known = body.media_type.format
    if body.v2:
        return JSON
    if known is not None and known != IMAGE:
        return known
    if body.content[:1] in _BRACKETS or not body.modality.reads_csv:
        return JSON
    text = body.text().lstrip()
    return TABLE if text[:1] not in ("{", "[") and names_columns(text, body.spec.fields) else JSON


def _read_table(body: _Body) -> Request:
    if not body.modality.reads_csv:
        raise RequestError(
            f"the body is a table, but the model reads {body.modality.records}.",
            fix=body.modality.formats_of(body.spec),
        )
    return Request(read_rows(body.text(), body.spec.fields, body.max_records))


def _read_json(body: _Body) -> Request:
    """Parse a JSON value, or JSON lines whose Content-Type is JSON or missing."""
    if "charset" not in body.media_type.parameters:
        try:  # the fast path: no copy, no search for a byte order mark
            return _from_json(orjson.loads(body.content), body.spec, body.max_records, body.v2)
        except orjson.JSONDecodeError:
            pass
    text = body.text()
    try:
        data = json_text.read_document(text, body.modality.formats_of(body.spec))
    except RequestError:
        if body.v2 or not json_text.is_lines(text):
            raise
        return Request(json_text.read_lines(text, body.max_records), LINES)
    return _from_json(data, body.spec, body.max_records, body.v2)


def _read_lines(body: _Body) -> Request:
    return Request(json_text.read_lines(body.text(), body.max_records), LINES)


def _read_multipart(body: _Body) -> Request:
    if isinstance(body.content, str):
        raise RequestError("a form arrived as text.", fix="send it as multipart/form-data.")
    parts = multipart.parse(body.content, body.media_type.parameters.get("boundary"))
    return _read_parts(parts, body.spec, body.max_records, body.options)


def _read_parts(parts: Sequence[Part], spec: Spec, max_records: int | None, options: Mapping[str, Any]) -> Request:
    return modality(spec.kind).read_form(forms.without_empty_files(parts), max_records, _part_reader(spec, options))


def _part_reader(spec: Spec, options: Mapping[str, Any]) -> forms.ReadPart:
    """The function that parses a part like a body: by its Content-Type, its file extension, or its content."""

    def read_part(part: Part, max_records: int | None) -> Request:
        media_type = media_types.parse(part.content_type)
        if media_type.format == FORM:
            raise RequestError(
                "a part of the form is a form.", code="bad_multipart", fix="send a single form with all parts."
            )
        if media_type.format is None and (known := media_types.format_of_file(part.filename or "")) is not None:
            media_type = media_types.with_format(known, media_type)
        if not isinstance(part.content, _TEXT):
            return _from_json(part.content, spec, max_records)
        return _read_body(_Body(part.content, media_type, spec, options, max_records))

    return read_part


_READERS: dict[str, Callable[[_Body], Request]] = {
    JSON: _read_json,
    JSON_LINES: _read_lines,
    TABLE: _read_table,
    FORM: _read_multipart,
}


def _check_encoding(value: str) -> None:
    """Raise `RequestError` for a compressed body: the server must decompress it, with a limit."""
    if value.strip().lower() not in ("", "identity"):
        raise RequestError(
            f"the Content-Encoding {short_repr(value)} is not supported.",
            code=ENCODED,
            fix="send the body uncompressed, without Content-Encoding.",
        )


def _read_binary_v2(body: bytes, length: str, spec: Spec, max_records: int | None) -> Request:
    head, binary = protocol_v2.split(body, length)
    data = json_text.read_document(decode(head), modality(spec.kind).formats_of(spec))
    return Request(protocol_v2.read(data, spec, max_records, binary), V2, data)


def _from_json(data: Any, spec: Spec, max_records: int | None, v2: bool = False) -> Request:
    if v2:
        return _read_v2(data, spec, max_records)
    if isinstance(data, list):
        return Request(data)
    if isinstance(data, str) and modality(spec.kind).reads_text:
        return Request([data], ONE)
    if not isinstance(data, dict):
        raise RequestError(
            f"the body must be a record or a list of records; got {short_repr(data)}.",
            fix=modality(spec.kind).formats_of(spec),
        )
    if "instances" in data and not _has_column(spec, "instances"):
        if isinstance(data["instances"], list):
            return Request(json_shapes.check_named(data["instances"], spec, "instances"), INSTANCES)
        raise RequestError(
            f"instances must be a list of records; got {short_repr(data['instances'])}.",
            fix='send {"instances": [RECORD, ...]}, also for one record.',
        )
    if isinstance(data.get("inputs"), list) and not _has_column(spec, "inputs"):
        return _read_v2(data, spec, max_records)
    return json_shapes.read(data, spec) or Request([data], ONE)


def _has_column(spec: Spec, name: str) -> bool:
    return any(f.name == name for f in spec.fields)


def _read_v2(data: Any, spec: Spec, max_records: int | None) -> Request:
    try:
        return Request(protocol_v2.read(data, spec, max_records), V2, data)
    except RequestError as error:
        error.v2 = True
        raise


def write(request: Request, answers: Sequence[dict[str, Any]], spec: Spec) -> Response:
    """The response to `request`: status 200, or 400 if none of its records could be scored.

    For JSON lines, the status is always 200: batch jobs split files anywhere, and a part with only bad lines must not
    fail the job.
    """
    refused_records = sum(["error" in answer for answer in answers])  # a list, because most requests have one record
    if refused_records:
        answers = refusals.number_errors(answers)
    status = 400 if refused_records and refused_records == len(answers) else 200
    if request.shape == ONE:
        return Response(status, orjson.dumps(answers[0]))
    if request.shape == INSTANCES:
        return Response(status, orjson.dumps({"predictions": answers}))
    if request.shape == LINES:
        return Response(200, b"".join(orjson.dumps(answer) + b"\n" for answer in answers), LINES_TYPE)
    if request.shape == V2:
        refused = next((answer for answer in answers if "error" in answer), None)
        if refused is not None:
            return Response(400, orjson.dumps(protocol_v2.refuse(refused["error"])))
        body, headers = protocol_v2.respond(request.envelope, answers, spec)
        return Response(200, body, protocol_v2.BINARY_TYPE if headers else JSON_TYPE, headers)
    return Response(status, orjson.dumps(answers))


def refused(error: RequestError) -> Response:
    """The response with the error of a request."""
    body = error.as_dict()
    return Response(
        _STATUSES.get(error.code, 400), orjson.dumps(protocol_v2.refuse(body["error"]) if error.v2 else body)
    )


def min_answer_bytes(spec: Spec) -> int:
    """Minimum bytes of an answer to a record."""
    return len(orjson.dumps({**answer_kind(spec.decode).shortest(spec.decode), "warnings": []}))
