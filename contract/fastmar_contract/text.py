"""Bytes to text: by byte order mark, declared charset, the zero bytes of UTF-16 and UTF-32, or as UTF-8."""

from __future__ import annotations

import codecs
import json
import re

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError

_MARKS = (  # UTF-32's marks first: the little-endian one starts like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AS_CSV = "save the table as CSV."
_BINARY = (
    (b"PK\x03\x04", "a zip file or an Excel workbook", _AS_CSV),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", _AS_CSV),
    (b"PAR1", "a Parquet file", _AS_CSV),
    (b"\x1f\x8b", "gzip", "declare Content-Encoding: gzip if the server supports it, or send it uncompressed."),
)
# Python's codecs that are character sets. Some of the others take quadratic time: idna, punycode.
_CHARSETS = re.compile(
    r"ascii|utf-(8|16|32)(-(le|be|sig))?|iso8859-\d+|cp\d+|koi8-\w|big5\w*|gb\w+|shift_jis\w*|euc_\w+|mac-\w+|tis-620"
)


def decode(body: bytes | bytearray | memoryview | str, charset: str | None = None) -> str:
    """Decode a body and remove its byte order mark.

    Args:
        body: bytes, or text that a server already decoded.
        charset: declared by the body's Content-Type.

    Raises:
        RequestError: the charset is unknown, or the bytes are not valid in it.
    """
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    data = bytes(body)
    _refuse_binary(data)
    name = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if name is None:
        name = _codec(charset) if charset else json.detect_encoding(data)
    try:
        return data.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        label = charset if charset and not data.startswith(tuple(mark for mark, _ in _MARKS)) else name.upper()
        raise RequestError(
            f"the body is not {short_repr(label) if charset else label.removesuffix('-SIG')} ({error.reason}).",
            fix="encode it as UTF-8, or declare its charset, as in Content-Type: text/csv; charset=windows-1252.",
        ) from error


def _refuse_binary(data: bytes) -> None:
    """Raise `RequestError` for common binary files, detected by their signatures."""
    for signature, what, fix in _BINARY:
        if data.startswith(signature):
            raise RequestError(f"the body is {what}, not text.", code="not_text", fix=fix)


def _codec(charset: str) -> str:
    """Python's name for a charset."""
    try:
        name = codecs.lookup(charset.strip()[:40]).name
    except (LookupError, ValueError):  # ValueError: a name with a zero byte
        name = ""
    if not _CHARSETS.fullmatch(name):
        raise RequestError(
            f"the charset {short_repr(charset)} is unknown.",
            code="unknown_charset",
            fix="send UTF-8, or declare a charset such as utf-8, utf-16, iso-8859-1 or windows-1252.",
        )
    return name
