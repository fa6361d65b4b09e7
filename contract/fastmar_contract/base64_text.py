"""Reads base64 as callers send it."""

from __future__ import annotations

import base64

_TO_STANDARD = {ord("-"): "+", ord("_"): "/", ord("="): None, **dict.fromkeys(map(ord, " \t\r\n"))}


def decode_base64(text: str) -> bytes:
    """Decode base64: standard or URL-safe, with or without line breaks, padding or the prefix of a data URL.

    Raises:
        ValueError: it is not base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    plain = text.translate(_TO_STANDARD)
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
