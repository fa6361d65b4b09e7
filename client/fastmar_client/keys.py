"""The key that the server asks for, given once or read from a file."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from fastmar_client.errors import Unauthorized

INFERENCE = "inference"  # the API that answers; TorchServe's file holds the keys of others too
UNREADABLE = "key_file_unreadable"


class Keys(Protocol):
    """Where the key for a request comes from."""

    def key(self) -> str | None:
        """The key, None for no key."""

    def refresh(self) -> None:
        """Look for another key, after one was refused."""


class FixedKey:
    """One key for every request, or none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def key(self) -> str | None:
        """The key."""
        return self._token

    def refresh(self) -> None:
        """There is no other."""


class KeyFile:
    """A file with the key: TorchServe's key_file.json, or a text that is the key and nothing else.

    TorchServe's is `{"inference": {"key": ..., "expiration time": ...}, "management": {...}, ...}`. It is written anew
    at each start and whenever a key is renewed, so it is read again when a key was refused or has expired.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._found: tuple[str | None, datetime | None] | None = None

    def key(self) -> str | None:
        """The key, read again if the one at hand has expired."""
        key, expires = self._found = self._found or self._read()
        if expires is not None and expires <= datetime.now(UTC):
            key, _ = self._found = self._read()
        return key

    def refresh(self) -> None:
        """Read the file again."""
        self._found = self._read()

    def _read(self) -> tuple[str | None, datetime | None]:
        try:
            text = self._path.read_text("utf-8").strip()
            if not text.startswith(("{", "[")):
                return _as_header(text), None
            entry = json.loads(text).get(INFERENCE)
            return (None, None) if entry is None else (_as_header(entry["key"]), _moment(entry.get("expiration time")))
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise Unauthorized(
                f"the key file {self._path} can't be read: {error}.",
                fix="give the path of key_file.json in the server's run directory, or of a text file that holds one "
                "key, and the right to read it.",
                code=UNREADABLE,
            ) from error


def _as_header(key: str) -> str:
    """`key`, which goes into a header: nothing else may come along."""
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError("it holds no key")
    return key


def _moment(text: str | None) -> datetime | None:
    """Java's Instant, which has up to nine digits behind the second; Python reads six, so it drops the rest."""
    if not text:
        return None
    seconds, dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}{dot}{fraction[:6]}+00:00")
