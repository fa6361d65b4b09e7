"""Sends pictures to the model, one request each, so that a bad picture fails alone."""

from __future__ import annotations

import os
import secrets
from typing import IO, Any

from fastmar_web.backend import Backend
from fastmar_web.errors import RequestRefused
from fastmar_web.presentation import format_size

JSON = dict[str, Any]
PICTURE = "picture"  # name of the part; the file's own name is not sent


def size_limit(schema: JSON, limit: int) -> int:
    """Largest picture in bytes: `limit`, or the model's own limit if that is smaller."""
    own = schema["record"].get("properties", {}).get("image", {}).get("x-fastmar", {}).get("max_bytes")
    return min(limit, int(own)) if own else limit


def read(stream: IO[bytes], limit: int) -> bytes:
    """The bytes of a picture's file.

    Raises:
        RequestRefused: it is empty, or larger than `limit`.
    """
    size = stream.seek(0, os.SEEK_END)
    if not size:
        raise RequestRefused("The file is empty.", fix="choose another file.", code="empty_picture", title="No picture")
    if size > limit:
        raise RequestRefused(
            f"The picture has {format_size(size)}; the limit is {format_size(limit)}.",
            fix="make it smaller.",
            code="picture_too_large",
            status=413,
            title="Too large",
        )
    stream.seek(0)
    return stream.read()


def answer_to(backend: Backend, schema: JSON, name: str, version: str | None, data: bytes) -> JSON:
    """The model's answer to a picture. Masks are requested in the size of the picture, to be drawn over it."""
    if "mask_size" not in schema["record"].get("properties", {}):
        return backend.predict(name, version, data)
    body, content_type = _form({"mask_size": b"original"}, data)
    return backend.predict_body(name, version, body, content_type)


def _form(texts: dict[str, bytes], picture: bytes) -> tuple[bytes, str]:
    """A multipart body, which has room for options beside the picture."""
    boundary = secrets.token_hex(16)  # occurs in the picture with a probability of 1 in 10^38
    parts = [b'name="%s"\r\n\r\n%s' % (name.encode(), text) for name, text in texts.items()]
    head = f'name="{PICTURE}"; filename="{PICTURE}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    parts.append(head.encode() + picture)
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (boundary.encode(), part) for part in parts)
    return body + b"--%s--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"
