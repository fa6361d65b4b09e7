"""Describes a file that can't be decoded as a picture, by its first bytes."""

from __future__ import annotations

import re

_NO_IMAGE = "not an image"
_KINDS = [
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), kind)
    for pattern, kind in (
        (rb"%PDF", f"a PDF document, {_NO_IMAGE}"),
        (rb"PK\x03\x04", f"a ZIP archive or an Office document, {_NO_IMAGE}"),
        (rb"\x1f\x8b", f"compressed with gzip, {_NO_IMAGE}"),
        (rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", "a HEIC photo, which the model can't read"),
        (rb".{4}ftypavi[fs]", "an AVIF image, which this server can't read"),
        (rb".{4}ftyp", f"a video, {_NO_IMAGE}"),
        (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{,400}?-->\s*)?<svg", "an SVG drawing, which has no pixels"),
        (rb"\s*<(?:!doctype\s+html|html)", f"an HTML page, {_NO_IMAGE}"),
    )
]
_SEARCHED = 1024  # bytes
_TEXT = 24  # characters that are quoted
_BYTES = 8  # that are listed


def describe_file(data: bytes) -> str:
    """What a file is, to follow "The file is": ``"not an image: it starts with 'hello'"``."""
    start = data[:_SEARCHED]
    for pattern, kind in _KINDS:
        if pattern.match(start):
            return kind
    if (text := _first_line(start)) is not None:
        return f"{_NO_IMAGE}: it starts with {text!r}"
    return f"{_NO_IMAGE}: its first bytes are {data[:_BYTES].hex(' ')}"


def _first_line(start: bytes) -> str | None:
    """The start of the first line of a text; None for other bytes."""
    text = start.decode("utf-8", errors="ignore").strip()  # the last character may be cut
    line = text.splitlines()[0][:_TEXT] if text else ""
    is_text = len(text.encode()) >= len(start.strip()) - 3 and all(c.isprintable() or c in "\t\n\r" for c in text)
    return line if line and is_text else None
