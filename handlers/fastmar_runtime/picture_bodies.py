"""Pictures out of request bodies and out of the parts of a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmar_contract.errors import RecordError, RequestError
from fastmar_contract.media_types import picture_type
from fastmar_runtime.pictures import MASK_SIZE, MODEL_SIZE, Picture, mask_size

FORMATS = (
    'send a picture as the body with its Content-Type, a multipart form with a file a part, or JSON such as {"image": '
    '{"b64": "..."}}.'
)

_TYPES = ("application/x-image", "application/octet-stream")
NOT_PICTURES = ("model_name", "model_version", MASK_SIZE)
"""Parts that are no pictures: TorchServe puts the query of /invocations among them."""


def body_picture(body: Any, media_type: str, size: str = MODEL_SIZE) -> Picture | None:
    """The picture that `body` is, by its Content-Type or by how it begins; None where it is something else."""
    if not isinstance(body, bytes | bytearray | memoryview):
        return None
    if media_type.startswith("image/") or media_type in _TYPES or picture_type(body) is not None:
        return Picture(bytes(body), mask_size=size)
    return None


def option(parts: Mapping[str, Any]) -> str:
    """The size of masks that a form or a query asks for.

    Raises:
        RequestError: there is no such size.
    """
    value = parts.get(MASK_SIZE, MODEL_SIZE)
    text = bytes(value[:100]).decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else value
    try:
        return mask_size(text.strip() if isinstance(text, str) else text)
    except RecordError as error:
        raise RequestError(error.message, fix=error.fix, code=error.code) from error
