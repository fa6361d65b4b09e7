"""Media types: parsing, aliases, the format of each, and detection of picture formats by their signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

JSON, LINES, TABLE, FORM, IMAGE = "json", "lines", "table", "form", "image"

_FORMATS = {
    "application/json": JSON,
    "text/json": JSON,
    "application/jsonlines": LINES,
    "application/x-jsonlines": LINES,
    "application/jsonl": LINES,
    "application/x-jsonl": LINES,
    "application/json-lines": LINES,
    "application/ndjson": LINES,
    "application/x-ndjson": LINES,
    "text/csv": TABLE,
    "text/x-csv": TABLE,
    "text/comma-separated-values": TABLE,
    "text/tab-separated-values": TABLE,
    "application/csv": TABLE,
    "application/x-csv": TABLE,
    "application/vnd.ms-excel": TABLE,  # how Windows with Excel labels a .csv file
    "multipart/form-data": FORM,
    "application/x-image": IMAGE,
}
_ENDINGS = {
    "json": JSON,
    "jsonl": LINES,
    "ndjson": LINES,
    "csv": TABLE,
    "tsv": TABLE,
    "tab": TABLE,
}
_MAX_HEADER = 1000  # characters of a header that are parsed: a boundary has at most 70, a charset far fewer
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type: its name and its parameters by name. Names are in lower case."""

    name: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def format(self) -> str | None:
        """The format that the name stands for; None if it has to be detected from the content."""
        known = _FORMATS.get(self.name)
        if known is None and self.name.startswith("image/"):
            return IMAGE
        return JSON if known is None and self.name.endswith("+json") else known


def with_format(known: str, declared: MediaType) -> MediaType:
    """A media type of the format `known`, with the parameters of `declared`."""
    name = next(name for name, stands_for in _FORMATS.items() if stands_for == known)
    return MediaType(name, declared.parameters)


@lru_cache(maxsize=256)
def parse(content_type: str | None) -> MediaType:
    """The media type of a Content-Type header; empty if there is no header."""
    text = (content_type or "")[:_MAX_HEADER]
    name, _, _ = text.partition(";")
    found = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(text[len(name) :])}
    return MediaType(name.strip().lower(), found)


BMP = "image/bmp"
_PICTURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"BM", BMP),
)


def picture_type(data: bytes | bytearray | memoryview) -> str | None:
    """The media type of a picture file by its signature; None for other content.

    Text may also start with BM, the signature of a BMP.
    """
    start = bytes(data[:16])
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _PICTURES if start.startswith(magic)), None)


def format_of_file(name: str) -> str | None:
    """The format that the extension of a file name stands for."""
    _, dot, ending = name.rpartition(".")
    return _ENDINGS.get(ending.lower()) if dot else None
