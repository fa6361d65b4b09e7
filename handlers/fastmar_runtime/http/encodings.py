"""Content-Encoding of request bodies: gzip and deflate, decompressed up to a limit."""

from __future__ import annotations

import zlib

IDENTITY = ("", "identity")
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class UnknownEncoding(ValueError):
    """A Content-Encoding that is not supported."""


class TooLarge(ValueError):
    """The decompressed body is over the limit."""


class Damaged(ValueError):
    """The body can't be decompressed."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Decompress a body, to at most `limit` bytes.

    Raises:
        UnknownEncoding: the encoding is not gzip, deflate or identity.
        TooLarge: the result has more than `limit` bytes.
        Damaged: the body is invalid or truncated.
    """
    encoding = encoding.strip().lower()
    if encoding in IDENTITY:
        return body
    if encoding not in _WINDOWS:
        raise UnknownEncoding(encoding)
    # `deflate` means the zlib format, but some clients send a raw deflate stream; zlib's first byte is 0x78.
    raw = encoding == "deflate" and body[:1] != b"\x78"
    stream = zlib.decompressobj(-zlib.MAX_WBITS if raw else _WINDOWS[encoding])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if len(content) > limit:
        raise TooLarge
    if not stream.eof:
        raise Damaged("the body is truncated")
    return content
