"""multipart/form-data (RFC 7578) to its parts, in order; binary-safe, strict about what a truncated body looks like.

Python's own `email` package changes line ends of binary parts, and its `cgi` module is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError

MOST_PARTS = 1000
_MOST_HEADER = 8192  # bytes of one part's headers
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))', re.DOTALL)
_ESCAPED = re.compile(r"\\([\"\\])")
_PERCENT = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # what browsers escape in names
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form.

    Attributes:
        name: the field's name.
        content: its bytes, or what a server made of them.
        filename: name of the file; None where the part is no file.
        content_type: the part's own, or empty.
    """

    name: str
    content: Any
    filename: str | None = None
    content_type: str = ""


def parse(body: bytes | bytearray | memoryview, boundary: str | None) -> list[Part]:
    """The parts of a form.

    Raises:
        RequestError: no valid boundary is declared, the body is truncated or malformed, or it has too many parts.
    """
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        _malformed(
            f"the Content-Type declares the boundary {short_repr(boundary)}."
            if boundary
            else "the Content-Type declares no boundary.",
            "let the HTTP client write the Content-Type of a form; do not set it yourself.",
        )
    data = b"\r\n" + bytes(body)  # so that the first delimiter begins as all others do
    delimiter = b"\r\n--" + boundary.encode("ascii")
    parts: list[Part] = []
    at = _next(data, delimiter, 0)
    while not data.startswith(b"--", at + len(delimiter)):
        if len(parts) == MOST_PARTS:
            raise RequestError(
                f"the form has more than {MOST_PARTS:,} parts.",
                code="too_many_records",
                fix=f"send at most {MOST_PARTS:,} files at once.",
            )
        start = data.find(b"\r\n", at + len(delimiter))
        at = _next(data, delimiter, start)
        parts.append(_part(data, start + 2, at, len(parts)))
    return parts


def _next(data: bytes, delimiter: bytes, at: int) -> int:
    """Position of the next delimiter, which may be padded with white space.

    Raises:
        RequestError: there is none, so that the body is truncated.
    """
    while (at := data.find(delimiter, at)) >= 0:
        behind = at + len(delimiter)
        line_end = data.find(b"\r\n", behind)
        if data.startswith(b"--", behind) or (line_end >= 0 and not data[behind:line_end].strip(b" \t")):
            return at
        at = behind  # a line of a part's content that only begins like the delimiter
    return _malformed(
        "the form ends without its closing boundary: it was cut short, or the declared boundary is not its own.",
        "send it whole; let the HTTP client write the Content-Type of a form.",
    )


def _part(data: bytes, start: int, end: int, position: int) -> Part:
    if data.startswith(b"\r\n", start):
        headers, content = b"", start + 2
    else:
        blank = data.find(b"\r\n\r\n", start, min(end, start + _MOST_HEADER) + 4)
        if blank < 0:
            _malformed(f"part {position} of the form has no end of its headers within {_MOST_HEADER:,} bytes.")
        headers, content = data[start:blank], blank + 4
    found = dict(_header(line) for line in re.split(rb"\r\n(?![ \t])", headers) if line)
    encoding = found.get("content-transfer-encoding", "").strip().lower()
    if encoding not in _PLAIN_ENCODINGS:
        _malformed(
            f"part {position} of the form has the Content-Transfer-Encoding {short_repr(encoding)}.",
            "send plain bytes.",
        )
    kind, _, rest = found.get("content-disposition", "").partition(";")
    parameters = {
        key.lower(): _plain(quoted) if quoted else bare for key, quoted, bare in _PARAMETER.findall(";" + rest)
    }
    if kind.strip().lower() != "form-data" or "name" not in parameters:
        _malformed(f"part {position} of the form has no name.", 'give it Content-Disposition: form-data; name="...".')
    filename = parameters.get("filename")
    if (extended := parameters.get("filename*")) is not None:
        filename = _extended(extended)
    return Part(parameters["name"], data[content:end], filename, found.get("content-type", "").strip())


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("utf-8", "replace").partition(":")
    return name.strip().lower(), re.sub(r"\r\n[ \t]+", " ", value)


def _plain(quoted: str) -> str:
    """A quoted string's text: browsers escape with percent signs, other clients with backslashes."""
    text = _ESCAPED.sub(r"\1", quoted)
    for escaped, character in _PERCENT.items():
        text = text.replace(escaped, character)
    return text


def _extended(value: str) -> str:
    """RFC 5987: ``UTF-8''caf%C3%A9.png``."""
    return unquote_to_bytes(value.rpartition("'")[2]).decode("utf-8", "replace")


def _malformed(
    message: str, fix: str = "send a form as multipart/form-data, with curl -F or an HTTP client."
) -> NoReturn:
    raise RequestError(message, code="bad_multipart", fix=fix)
