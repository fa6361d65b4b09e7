"""The keys that callers may send in the Authorization header."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection


def admits(keys: Collection[bytes] | None, header: str | None) -> bool:
    """Whether an Authorization header has one of the keys. `keys` is None if none is needed.

    The header is `Bearer KEY`, or Basic authentication with the key as the password, which browsers send. It is
    compared with each key in constant time, so the time tells neither a key nor which one was sent.
    """
    if keys is None:
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
    return any([hmac.compare_digest(given, key) for key in keys])  # noqa: C419 - compares with all of them
