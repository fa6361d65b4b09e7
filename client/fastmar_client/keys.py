"""The keys that TorchServe asks for, given once or read from the file that it writes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from fastmar_client.errors import Unauthorized

Kind = Literal["inference", "management"]


class Keys(Protocol):
    """Where the key for a request comes from."""

    def key(self, kind: Kind) -> str | None:
        """The key for one of the server's APIs, None for no key."""

    def refresh(self) -> bool:
        """Look for other keys, after one was refused; whether there may be some."""


class FixedKey:
    """One key for every request, or none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def key(self, kind: Kind) -> str | None:  # noqa: ARG002 - it is the same for all
        """The key."""
        return self._token

    def refresh(self) -> bool:
        """There is no other."""
        return False


class KeyFile:
    """TorchServe's key_file.json: `{"inference": {"key": ..., "expiration time": ...}, "management": {...}, ...}`.

    TorchServe writes it anew at each start and whenever a key is renewed, so it is read again when a key was refused or
    has expired.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._keys: dict[str, tuple[str, datetime | None]] | None = None

    def key(self, kind: Kind) -> str | None:
        """The key, read again if the one at hand has expired."""
        if self._keys is None:
            self._keys = self._read()
        key, expires = self._keys.get(kind, (None, None))
        if expires is not None and expires <= datetime.now(UTC):
            self._keys = self._read()
            key, _ = self._keys.get(kind, (None, None))
        return key

    def refresh(self) -> bool:
        """Read the file again; whether anything in it changed."""
        before, self._keys = self._keys, self._read()
        return self._keys != before

    def _read(self) -> dict[str, tuple[str, datetime | None]]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
            return {
                name: (entry["key"], _moment(entry.get("expiration time")))
                for name, entry in content.items()
                if isinstance(entry, dict) and "key" in entry
            }
        except (OSError, ValueError, AttributeError) as error:
            raise Unauthorized(
                f"the key file {self._path} can't be read: {error}.",
                fix="give the path of key_file.json in the server's run directory, and the right to read it.",
                code="key_file_unreadable",
            ) from error


def _moment(text: str | None) -> datetime | None:
    """Java's Instant, which has up to nine digits behind the second; Python reads six, so it drops the rest."""
    if not text:
        return None
    seconds, dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}{dot}{fraction[:6]}+00:00")
