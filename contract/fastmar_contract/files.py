"""Files of records and pictures, and standard input, as the bytes of a request and their Content-Type."""

from __future__ import annotations

import sys
from pathlib import Path

from fastmar_contract.errors import FastmarError, RequestError
from fastmar_contract.media_types import BMP, picture_type
from fastmar_contract.text import decode

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
PICTURE = "application/octet-stream"  # the model looks for itself which kind of picture it is
_TYPES = {".json": JSON, ".jsonl": LINES, ".ndjson": LINES, ".csv": CSV, ".tsv": CSV, ".tab": CSV}
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class InputUnreadable(FastmarError):
    """An input is not there, or is of a kind that no model reads."""

    code = "input_unreadable"


def is_picture(source: str) -> bool:
    """Whether `source` is named as a picture's file is."""
    return Path(source).suffix.lower() in _PICTURES


def read_picture(path: Path) -> bytes:
    """Bytes of a picture's file."""
    return _read(path)


def read_input(source: str, encoding: str | None = None) -> tuple[bytes, str]:
    """Bytes and Content-Type of `source`, a path or ``-``. Text comes in UTF-8.

    Args:
        source: a path, or ``-``.
        encoding: of text; None for UTF-8, and for UTF-16 and UTF-32 that their bytes tell.

    Raises:
        InputUnreadable: the file can't be read, or is not in the encoding. Of a CSV without an `encoding` each row is
            checked alone, later.
    """
    if source == "-":
        body = sys.stdin.buffer.read()
        return _text(body, _sniff(body), "standard input", encoding)
    path = Path(source)
    content_type = _TYPES.get(path.suffix.lower())
    if content_type is None:
        endings = ", ".join([*_TYPES, *_PICTURES])
        raise InputUnreadable(f"{source} is no file of records.", fix=f"give one that ends in {endings}, or -.")
    return _text(_read(path), content_type, source, encoding)


def _text(body: bytes, content_type: str, name: str, encoding: str | None) -> tuple[bytes, str]:
    if content_type == PICTURE or (content_type == CSV and encoding is None):
        return body, content_type
    try:
        return decode(body, encoding).encode(), content_type
    except RequestError as error:
        is_text = error.code != "not_text"
        raise InputUnreadable(
            f"{name}: {error.message}",
            fix="name its encoding, such as --encoding cp1252, or save it as UTF-8."
            if is_text
            else "unpack it or save it as text.",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputUnreadable(f"{path} can't be read ({error.strerror}).", fix="check the path.") from error


def _sniff(body: bytes) -> str:
    """JSON begins with a bracket; JSON lines have a second object behind the first line; the rest is CSV."""
    if picture_type(body) not in (None, BMP):  # a CSV may begin with the two letters of a BMP
        return PICTURE
    text = as_utf8(body).lstrip()
    if text[:1] not in (b"{", b"["):
        return CSV
    lines = [line for line in text.splitlines() if line.strip()]
    return LINES if len(lines) > 1 and all(line.lstrip()[:1] == b"{" for line in lines) and text[:1] == b"{" else JSON


def as_utf8(body: bytes) -> bytes:
    """A text that may be UTF-16 or UTF-32, as Windows' tools write it, in UTF-8; other bytes as they are."""
    try:
        return decode(body).encode()
    except RequestError:
        return body  # the model's reader, or the table's, says what is wrong and where
