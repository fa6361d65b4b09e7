"""The parts of a multipart form, and the records of parts that are tables or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastmar_contract import media_types
from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError
from fastmar_contract.media_types import picture_type
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import LIST, V2, Request

ReadPart = Callable[[Part, int | None], Request]
"""Parses a part as if it were a request body; the number is the number of records to stop at."""

_TABLE_FIX = (
    "send a file with the form, as in curl -F data=@rows.csv; or send the record or the table as the body with its "
    "Content-Type: application/json or text/csv."
)
_DOCUMENTS = (media_types.JSON, media_types.LINES, media_types.TABLE)
_NAMELESS_FILE = "blob"  # file name that browsers give to a Blob without a name


def from_row(row: Mapping[str, Any], content_types: Mapping[str, str] | None = None) -> list[Part]:
    """The parts of a form that a server parsed: files are bytes, texts are text, JSON is parsed.

    Args:
        row: content of the parts by name.
        content_types: the content types of the parts, if known.
    """
    types = content_types or {}
    return [
        Part(name, content, name if isinstance(content, bytes | bytearray | memoryview) else None, types.get(name, ""))
        for name, content in row.items()
    ]


def without_empty_files(parts: Sequence[Part]) -> list[Part]:
    """The parts of a form without file inputs for which no file was chosen."""
    return [part for part in parts if part.filename != "" or len(part.content)]


def read_documents(parts: Sequence[Part], max_records: int | None, read_part: ReadPart) -> Request:
    """The records of tables and JSON in a form, in the order of its parts.

    Raises:
        RequestError: there are no tables or JSON, or a part can't be read.
    """
    files = [part for part in parts if part.filename is not None or is_document(part)]
    if not files:
        names = ", ".join(short_repr(part.name) for part in parts[:5])
        raise RequestError(
            f"the form has no table; its parts are {names}."
            if parts
            else "the request has no body, or a form without parts.",
            fix=_TABLE_FIX,
        )
    requests: list[Request] = []
    left = max_records
    for part in files:
        try:
            requests.append(read_part(part, left))
        except RequestError as error:
            where = f"the part {short_repr(part_name(part))}: "
            raise RequestError(where + error.message, code=error.code, fix=error.fix) from error
        if left is not None:
            left -= min(left, len(requests[-1].records))
            if not left:
                break
    return merge(requests)


def merge(requests: list[Request]) -> Request:
    """The request of a form: that of its only part, or a list of the records of several parts."""
    if len(requests) == 1:
        return requests[0]
    if any(request.shape == V2 for request in requests):
        raise RequestError("the form contains protocol v2 tensors among other parts.", fix="send them as the body.")
    return Request([record for request in requests for record in request.records], LIST)


def is_document(part: Part) -> bool:
    """Whether a part is JSON or a table, rather than a picture or the text of a field."""
    if not isinstance(part.content, bytes | bytearray | memoryview):
        return isinstance(part.content, dict | list) or media_types.parse(part.content_type).format in _DOCUMENTS
    if picture_type(part.content) is not None:
        return False
    if media_types.parse(part.content_type).format in _DOCUMENTS:
        return True
    if part.filename is not None:
        return media_types.format_of_file(part.filename) in _DOCUMENTS
    return bytes(part.content[:64]).lstrip()[:1] in (b"{", b"[")


def part_name(part: Part) -> str:
    """The name in the part's answer: its file name, else the name of its field."""
    return part.filename if part.filename and part.filename != _NAMELESS_FILE else part.name
