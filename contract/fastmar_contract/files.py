"""Input files and standard input as request bodies: their bytes and Content-Type."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastmar_contract.display import short_repr
from fastmar_contract.errors import FastmarError, RequestError
from fastmar_contract.media_types import BMP, picture_type
from fastmar_contract.text import decode

STANDARD_INPUT = "-"
JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
PICTURE = "application/octet-stream"  # the model detects the picture format
PLAIN = "text/plain"
_TYPES = {".json": JSON, ".jsonl": LINES, ".ndjson": LINES, ".csv": CSV, ".tsv": CSV, ".tab": CSV, ".txt": PLAIN}
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class InputUnreadable(FastmarError):
    """An input doesn't exist, can't be read, or has an unsupported file type."""

    code = "input_unreadable"


def is_picture(source: str) -> bool:
    """Whether the file name of `source` has the extension of a picture."""
    return Path(source).suffix.lower() in _PICTURES


def names_file(source: str) -> bool:
    """Whether an input is standard input, an existing path, or has the extension of a supported file."""
    if source == STANDARD_INPUT or is_picture(source) or Path(source).suffix.lower() in _TYPES:
        return True
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def is_empty_folder(path: Path) -> bool:
    """Whether a path is a folder with nothing in it. False also for a folder that can't be listed."""
    try:
        return path.is_dir() and next(path.iterdir(), None) is None
    except OSError:
        return False


@contextmanager
def errors_naming(source: str) -> Iterator[None]:
    """Name the input in errors of its content, which speak of the body of a request."""
    try:
        yield
    except RequestError as error:
        error.message = f"{_name(source)}: {error.message}"
        raise


def _name(source: str) -> str:
    return "standard input" if source == STANDARD_INPUT else source


def names_of(paths: Sequence[Path]) -> list[str]:
    """The names of files; the whole path where files in several folders have the same name."""
    count = Counter(path.name for path in set(paths))
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits. Raises OSError if it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_picture(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputUnreadable: the file can't be read.
    """
    return _read(path)


def read_input(source: str, encoding: str | None = None) -> tuple[bytes, str]:
    """Bytes and Content-Type of `source`. Text is converted to UTF-8.

    Args:
        source: a path, or ``-`` for standard input.
        encoding: the encoding of text; None detects UTF-8, UTF-16 and UTF-32.

    Raises:
        InputUnreadable: the file can't be read, or is not valid in the encoding. Without an `encoding`, the rows of a
            CSV are checked one by one later.
    """
    if source == STANDARD_INPUT:
        body = sys.stdin.buffer.read()
        return _text(body, _sniff(body), _name(source), encoding)
    path = Path(source)
    endings = ", ".join([*_TYPES, *_PICTURES])
    if not names_file(source):
        raise InputUnreadable(
            f"there is no file {short_repr(source)}.", fix=f"check the path of a file that ends in {endings}, or use -."
        )
    if is_empty_folder(path):
        raise InputUnreadable(f"{source} is an empty folder.", fix="pass a file with records.", code="empty_folder")
    if path.is_dir():
        raise InputUnreadable(f"{source} is a folder.", fix=f"pass its files, such as {path / '*'}.", code="not_a_file")
    content_type = _TYPES.get(path.suffix.lower())
    if content_type is None:
        raise InputUnreadable(f"{source} has an unsupported file type.", fix=f"use one of {endings}, or -.")
    return _text(_read(path), content_type, source, encoding)


def _text(body: bytes, content_type: str, name: str, encoding: str | None) -> tuple[bytes, str]:
    if content_type in (JSON, CSV) and not body.strip():  # JSON lines without records are valid
        raise InputUnreadable(f"{name} is empty.", fix="write records into it.", code="empty_input")
    if content_type == PICTURE or (content_type == CSV and encoding is None):
        return body, content_type
    try:
        return decode(body, encoding).encode(), content_type
    except RequestError as error:
        is_text = error.code != "not_text"
        raise InputUnreadable(
            f"{name}: {error.message}",
            fix="specify its encoding, such as --encoding cp1252, or save it as UTF-8."
            if is_text
            else "unpack it or save it as text.",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputUnreadable(f"{path} can't be read ({error.strerror}).", fix="check the path.") from error


def _sniff(body: bytes) -> str:
    """Detect the format: JSON starts with a bracket, JSON lines have several objects, anything else is CSV."""
    if picture_type(body) not in (None, BMP):  # a CSV may start with BM, the signature of a BMP
        return PICTURE
    text = as_utf8(body).lstrip()
    if text[:1] not in (b"{", b"["):
        return CSV
    lines = [line for line in text.splitlines() if line.strip()]
    return LINES if len(lines) > 1 and all(line.lstrip()[:1] == b"{" for line in lines) and text[:1] == b"{" else JSON


def as_utf8(body: bytes) -> bytes:
    """Text in UTF-16 or UTF-32, as Windows tools write it, converted to UTF-8; other bytes unchanged."""
    try:
        return decode(body).encode()
    except RequestError:
        return body  # the parser of records or tables reports what is wrong and where
