"""The keys of a server's APIs: generated at its start, or the keys in --key-file."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastmar_contract.keys import MIN_LENGTH, is_valid, keys_in
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.settings import Settings

log = logging.getLogger(__name__)

EXPIRATION_TIME = "9999-12-31T23:59:59Z"  # in TorchServe's file format; these keys are valid until the server stops
PERIOD = 1.0  # seconds between two reads of the key file


@dataclass(frozen=True)
class Keys:
    """The keys of each API; None for an API that needs no key.

    Attributes:
        inference: keys of the inference API, each of which is accepted.
        management: key of the management API.
        fixed: whether the inference keys come from --key-file.
    """

    inference: tuple[str, ...] | None
    management: str | None
    fixed: bool = False

    def by_api(self) -> dict[str, tuple[str, ...]]:
        """The keys in the format of the front, the Java code that compares them (`front/`)."""
        both = {"inference": self.inference, "management": self.management and (self.management,)}
        return {api: keys for api, keys in both.items() if keys}

    def write(self, path: Path) -> None:
        """Write the generated keys to key_file.json with mode 0600."""
        keys = self.by_api()
        if self.fixed:
            del keys["inference"]
        if keys:
            path.touch(mode=0o600)
            entries = {api: {"key": key, "expiration time": EXPIRATION_TIME} for api, [key] in keys.items()}
            path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def make_keys(settings: Settings) -> Keys:
    """The keys that the settings require.

    Raises:
        ConfigRefused: see `read_keys`.
    """
    inference, fixed = None, False
    if settings.needs_tokens:
        fixed = settings.key_file is not None
        inference = (_new_key(),) if settings.key_file is None else read_keys(settings.key_file)
    return Keys(inference, _new_key() if settings.needs_management_key else None, fixed=fixed)


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys in a key file, see `fastmar_contract.keys.keys_in`; at least one.

    Raises:
        ConfigRefused: the file can't be read, or has no key or an invalid one.
    """
    try:
        found = keys_in(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigRefused(
            f"the key file {path} can't be read: {error}.",
            fix="give --key-file a readable text file.",
            code="key_file_unreadable",
        ) from error
    invalid = [str(number) for number, key in enumerate(found, 1) if not is_valid(key)]
    if len(invalid) == len(found):
        problem = "no valid key"
    elif invalid:
        problem = f"{len(found)} keys, and these are not valid: number {', '.join(invalid)}"
    else:
        return tuple(found)
    raise ConfigRefused(
        f"the key file {path} has {problem}.",
        fix=f"write one key a line, of {MIN_LENGTH} or more characters without spaces (`openssl rand -hex 32`).",
        code="invalid_key",
    )


class KeyFileWatch:
    """Notices changes of the key file, by which keys are replaced while the server runs.

    A file that can't be read or has an invalid key is logged once, and the previous keys stay valid.

    Args:
        settings: those of the server.
        keys: the keys at its start.
        accept: makes the server accept other inference keys.
    """

    def __init__(self, settings: Settings, keys: Keys, accept: Callable[[tuple[str, ...]], None]) -> None:
        self._path = settings.key_file if keys.fixed else None
        self._keys = keys.inference
        self._accept = accept
        self._problem = ""
        self._read_at = time.monotonic()

    def poll(self) -> None:
        """Read the file, at most once a second, and accept its keys if they have changed."""
        now = time.monotonic()
        if self._path is None or now - self._read_at < PERIOD:
            return
        self._read_at = now
        try:
            found = read_keys(self._path)
        except ConfigRefused as error:
            if error.message != self._problem:
                self._problem = error.message
                log.warning("%s The previous keys stay valid. Fix: %s", error.message, error.fix)
            return
        self._problem = ""
        if found != self._keys:
            self._accept(found)
            self._keys = found
            log.info("the key file %s has changed; keys that are accepted: %d", self._path, len(found))


def _new_key() -> str:
    return secrets.token_urlsafe(24)
