"""Pictures from request bodies and from the parts of a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastmar_contract.errors import RecordError, RequestError
from fastmar_contract.masks import MASK_SIZE, MODEL_SIZE
from fastmar_contract.media_types import picture_type
from fastmar_runtime.bodies import forms
from fastmar_runtime.bodies.forms import ReadPart
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import ONE, Request
from fastmar_runtime.pictures import Picture, mask_size

FORMATS = (
    'send a picture as the body with its Content-Type, a multipart form with a file a part, or JSON such as {"image": '
    '{"b64": "..."}}.'
)

_TYPES = ("application/x-image", "application/octet-stream")
NOT_PICTURES = ("model_name", "model_version", MASK_SIZE)
"""Parts that are options: TorchServe adds the query of /invocations to the parts."""


def read_body(body: Any, media_type: str, options: Mapping[str, Any]) -> Request | None:
    """The request of a body that is a picture by Content-Type or signature; None for other bodies.

    Raises:
        RequestError: `options` has an invalid size of masks.
    """
    size = mask_size_option(options)
    if not isinstance(body, bytes | bytearray | memoryview):
        return None
    if media_type.startswith("image/") or media_type in _TYPES or picture_type(body) is not None:
        return Request([Picture(bytes(body), mask_size=size)], ONE)
    return None


def mask_size_option(parts: Mapping[str, Any]) -> str:
    """The size of masks that a form or a query requests.

    Raises:
        RequestError: the size is invalid.
    """
    value = parts.get(MASK_SIZE, MODEL_SIZE)
    text = bytes(value[:100]).decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else value
    try:
        return mask_size(text.strip() if isinstance(text, str) else text)
    except RecordError as error:
        raise RequestError(error.message, fix=error.fix, code=error.code) from error


def read_form(parts: Sequence[Part], max_records: int | None, read_part: ReadPart) -> Request:
    """The pictures of a form, and those in JSON in its parts.

    Raises:
        RequestError: there are no pictures, or a part can't be read.
    """
    options = {part.name: part.content for part in parts if part.name == MASK_SIZE}
    size = mask_size_option(options)
    requests = []
    for part in parts:
        if part.name in NOT_PICTURES:
            continue
        if forms.is_document(part):
            requests.append(read_part(part, max_records))
        elif isinstance(part.content, bytes | bytearray | memoryview) and (
            part.filename is not None
            or part.content_type.startswith("image/")
            or picture_type(part.content) is not None
        ):
            requests.append(Request([Picture(bytes(part.content), forms.part_name(part), size)], ONE))
    if not requests:
        raise RequestError("the form has no picture, or was truncated.", fix=FORMATS)
    return forms.merge(requests)
