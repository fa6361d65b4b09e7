"""The key that a server requires: a fixed text, or read from a file."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from fastmar_client.errors import Unauthorized
from fastmar_contract.keys import keys_in

INFERENCE = "inference"  # TorchServe's file also has the keys of other APIs
UNREADABLE = "key_file_unreadable"


class Keys(Protocol):
    """A source of keys."""

    def key(self) -> str | None:
        """The key, or None to send none."""

    def refresh(self) -> None:
        """Read the key again, after the server refused it."""


class FixedKey:
    """The same key for every request, or none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def key(self) -> str | None:
        """See `Keys`."""
        return self._token

    def refresh(self) -> None:
        """See `Keys`; there is nothing to read."""


class KeyFile:
    """A file with a key: TorchServe's key_file.json, or a server's key file, whose first key is sent.

    TorchServe's is `{"inference": {"key": ..., "expiration time": ...}, "management": {...}, ...}`. TorchServe replaces
    it at each start and whenever a key is renewed, so it is read again when a key is refused or expired.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._cached: tuple[str | None, datetime | None] | None = None

    def key(self) -> str | None:
        """The key; the file is read again if the cached key has expired."""
        key, expires = self._cached = self._cached or self._read()
        if expires is not None and expires <= datetime.now(UTC):
            key, _ = self._cached = self._read()
        return key

    def refresh(self) -> None:
        """Read the file again."""
        self._cached = self._read()

    def _read(self) -> tuple[str | None, datetime | None]:
        try:
            text = self._path.read_text("utf-8").strip()
            if not text.startswith(("{", "[")):
                return _checked(next(iter(keys_in(text)), "")), None
            entry = json.loads(text).get(INFERENCE)
            if entry is None:
                return None, None
            return _checked(entry["key"]), _parse_instant(entry.get("expiration time"))
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise Unauthorized(
                f"the key file {self._path} can't be read: {error}.",
                fix="pass a readable file: key_file.json in the server's run directory, or a text file with one key.",
                code=UNREADABLE,
            ) from error


def _checked(key: str) -> str:
    """The key, if it is safe as the value of an HTTP header."""
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError("it has no valid key")
    return key


def _parse_instant(text: str | None) -> datetime | None:
    """Parse Java's Instant: it has up to nine decimals of a second, and Python reads six."""
    if not text:
        return None
    seconds, dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}{dot}{fraction[:6]}+00:00")
