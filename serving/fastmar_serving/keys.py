"""The keys of a server's APIs: generated at its start, or the fixed key of --key-file."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.settings import Settings

EXPIRATION_TIME = "9999-12-31T23:59:59Z"  # in TorchServe's file format; these keys are valid until the server stops


@dataclass(frozen=True)
class Keys:
    """The key of each API; None for an API that needs no key.

    Attributes:
        inference: key of the inference API.
        management: key of the management API.
        fixed: whether the inference key comes from --key-file.
    """

    inference: str | None
    management: str | None
    fixed: bool = False

    def by_api(self) -> dict[str, str]:
        """The keys in the format of the settings of the front, the Java code that compares them (`front/`)."""
        both = {"inference": self.inference, "management": self.management}
        return {api: key for api, key in both.items() if key is not None}

    def write(self, path: Path) -> None:
        """Write the generated keys to key_file.json with mode 0600."""
        keys = self.by_api()
        if self.fixed:
            del keys["inference"]
        if keys:
            path.touch(mode=0o600)
            entries = {api: {"key": key, "expiration time": EXPIRATION_TIME} for api, key in keys.items()}
            path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def make_keys(settings: Settings) -> Keys:
    """The keys that the settings require.

    Raises:
        ConfigRefused: the file of the fixed key can't be read, or has no valid key.
    """
    fixed = settings.key()
    inference = (fixed or _new_key()) if settings.needs_tokens else None
    management = _new_key() if settings.needs_management_key else None
    return Keys(inference, management, fixed=fixed is not None)


def _new_key() -> str:
    return secrets.token_urlsafe(24)
