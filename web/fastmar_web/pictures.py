"""Pictures on their way to the model: one request each, so that a bad one fails alone."""

from __future__ import annotations

import os
import secrets
from typing import IO, Any

from fastmar_web.backend import Backend
from fastmar_web.errors import Refused
from fastmar_web.presentation import megabytes

JSON = dict[str, Any]
PICTURE = "picture"  # what the part is called: the file's own name stays here


def limit_of(schema: JSON, most: int) -> int:
    """Bytes that a picture may have: the model's own limit, if that is smaller."""
    own = schema["record"].get("properties", {}).get("image", {}).get("x-fastmar", {}).get("max_bytes")
    return min(most, int(own)) if own else most


def read(stream: IO[bytes], most: int) -> bytes:
    """The bytes of a picture's file.

    Raises:
        Refused: there are more than `most`.
    """
    size = stream.seek(0, os.SEEK_END)
    if size > most:
        raise Refused(
            f"The picture is {megabytes(size)} large; at most {megabytes(most)} are taken.",
            fix="make it smaller.",
            status=413,
            title="Too large",
        )
    stream.seek(0)
    return stream.read()


def answer_to(backend: Backend, schema: JSON, name: str, version: str | None, data: bytes) -> JSON:
    """The model's answer to a picture's file; masks come in the picture's own size, to be drawn over it."""
    if "mask_size" not in schema["record"].get("properties", {}):
        return backend.predict(name, version, data)
    body, content_type = _form({"mask_size": b"original"}, data)
    return backend.predict_body(name, version, body, content_type)


def _form(texts: dict[str, bytes], picture: bytes) -> tuple[bytes, str]:
    """A multipart body: a picture as a body of its own has no place for options."""
    boundary = secrets.token_hex(16)  # can't occur in the picture but by a chance of one in 10^38
    parts = [b'name="%s"\r\n\r\n%s' % (name.encode(), text) for name, text in texts.items()]
    head = f'name="{PICTURE}"; filename="{PICTURE}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    parts.append(head.encode() + picture)
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (boundary.encode(), part) for part in parts)
    return body + b"--%s--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"
