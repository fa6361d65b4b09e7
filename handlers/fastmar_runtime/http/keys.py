"""The key that callers send in the Authorization header."""

from __future__ import annotations

import base64
import binascii
import hmac


def admits(key: bytes | None, header: str | None) -> bool:
    """Whether an Authorization header has the key, compared in constant time. `key` is None if none is needed.

    The header is `Bearer KEY`, or Basic authentication with the key as the password, which browsers send.
    """
    if key is None:
        return True
    if header is None:
        return False
    scheme, _, sent = header.partition(" ")
    match scheme.lower():
        case "bearer":
            given = sent.strip().encode()
        case "basic":
            try:
                given = base64.b64decode(sent.strip(), validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                return False
        case _:
            return False
    return hmac.compare_digest(given, key)
