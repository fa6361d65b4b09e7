"""A parser for multipart/form-data (RFC 7578), binary-safe, which detects truncated bodies.

The standard library has no substitute: `email` changes line ends of binary parts, and `cgi` was removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError

MAX_PARTS = 1000
_MAX_HEADER = 8192  # bytes of the headers of a part
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))', re.DOTALL)
_ESCAPED = re.compile(r"\\([\"\\])")
_PERCENT = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # escapes of browsers in names
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form.

    Attributes:
        name: the field's name.
        content: bytes, or a value that a server parsed.
        filename: None if the part is not a file.
        content_type: the Content-Type of the part, or empty.
    """

    name: str
    content: Any
    filename: str | None = None
    content_type: str = ""


def parse(body: bytes | bytearray | memoryview, boundary: str | None) -> list[Part]:
    """Parse a form.

    Raises:
        RequestError: no valid boundary is declared, the body is truncated or malformed, or it has too many parts.
    """
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        _malformed(
            f"the Content-Type declares the boundary {short_repr(boundary)}."
            if boundary
            else "the Content-Type declares no boundary.",
            "let the HTTP client write the Content-Type of a form.",
        )
    data = b"\r\n" + bytes(body)  # so that the first delimiter is like the others
    delimiter = b"\r\n--" + boundary.encode("ascii")
    parts: list[Part] = []
    at = _next(data, delimiter, 0)
    while not data.startswith(b"--", at + len(delimiter)):
        if len(parts) == MAX_PARTS:
            raise RequestError(
                f"the form has more than {MAX_PARTS:,} parts.",
                code="too_many_records",
                fix=f"send at most {MAX_PARTS:,} files per request.",
            )
        start = data.find(b"\r\n", at + len(delimiter))
        at = _next(data, delimiter, start)
        parts.append(_part(data, start + 2, at, len(parts)))
    return parts


def _next(data: bytes, delimiter: bytes, at: int) -> int:
    """Position of the next delimiter, which may be padded with white space.

    Raises:
        RequestError: there is no further delimiter: the body is truncated.
    """
    while (at := data.find(delimiter, at)) >= 0:
        after = at + len(delimiter)
        line_end = data.find(b"\r\n", after)
        if data.startswith(b"--", after) or (line_end >= 0 and not data[after:line_end].strip(b" \t")):
            return at
        at = after  # content that only starts like the delimiter
    return _malformed(
        "the form has no closing boundary: it is truncated, or the Content-Type declares another boundary.",
        "send the complete form; let the HTTP client write its Content-Type.",
    )


def _part(data: bytes, start: int, end: int, position: int) -> Part:
    if data.startswith(b"\r\n", start):
        headers, content = b"", start + 2
    else:
        blank = data.find(b"\r\n\r\n", start, min(end, start + _MAX_HEADER) + 4)
        if blank < 0:
            _malformed(f"the headers of part {position} of the form do not end within {_MAX_HEADER:,} bytes.")
        headers, content = data[start:blank], blank + 4
    fields = dict(_header(line) for line in re.split(rb"\r\n(?![ \t])", headers) if line)
    encoding = fields.get("content-transfer-encoding", "").strip().lower()
    if encoding not in _PLAIN_ENCODINGS:
        _malformed(
            f"part {position} of the form has the Content-Transfer-Encoding {short_repr(encoding)}.",
            "send plain bytes.",
        )
    disposition, _, rest = fields.get("content-disposition", "").partition(";")
    parameters = {
        key.lower(): _unescape(quoted) if quoted else bare for key, quoted, bare in _PARAMETER.findall(";" + rest)
    }
    if disposition.strip().lower() != "form-data" or "name" not in parameters:
        _malformed(f"part {position} of the form has no name.", 'give it Content-Disposition: form-data; name="...".')
    filename = parameters.get("filename")
    if (extended := parameters.get("filename*")) is not None:
        filename = _decode_extended(extended)
    return Part(parameters["name"], data[content:end], filename, fields.get("content-type", "").strip())


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("utf-8", "replace").partition(":")
    return name.strip().lower(), re.sub(r"\r\n[ \t]+", " ", value)


def _unescape(quoted: str) -> str:
    """The text of a quoted string: browsers escape with percent signs, other clients with backslashes."""
    text = _ESCAPED.sub(r"\1", quoted)
    for escaped, character in _PERCENT.items():
        text = text.replace(escaped, character)
    return text


def _decode_extended(value: str) -> str:
    """RFC 5987: ``UTF-8''caf%C3%A9.png``."""
    return unquote_to_bytes(value.rpartition("'")[2]).decode("utf-8", "replace")


def _malformed(
    message: str, fix: str = "send a form as multipart/form-data, with curl -F or an HTTP client."
) -> NoReturn:
    raise RequestError(message, code="bad_multipart", fix=fix)
