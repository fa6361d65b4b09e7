"""The keys of a server's APIs: made at its start, or the fixed one of --key-file, and written down for its clients."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from fastmar_serving.torchserve.config import Settings

LASTS_UNTIL = "9999-12-31T23:59:59Z"  # clients read when a key expires; these end with the server


@dataclass(frozen=True)
class Keys:
    """What callers send; None for an API that needs no key.

    Attributes:
        inference: key of the inference API.
        management: key of the management API.
        fixed: whether the inference key is the user's own.
    """

    inference: str | None
    management: str | None
    fixed: bool = False

    def by_api(self) -> dict[str, str]:
        """As the front takes them."""
        both = {"inference": self.inference, "management": self.management}
        return {api: key for api, key in both.items() if key is not None}

    def write(self, path: Path) -> None:
        """Write key_file.json, for the server's user alone. The user's own key is not copied into it."""
        keys = self.by_api()
        if self.fixed:
            del keys["inference"]
        if keys:
            path.touch(mode=0o600)
            entries = {api: {"key": key, "expiration time": LASTS_UNTIL} for api, key in keys.items()}
            path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def make_keys(settings: Settings) -> Keys:
    """The keys of a server. A management API on a port needs one even where callers of the models need none.

    Raises:
        ConfigRefused: the file of the fixed key can't be read, or holds none.
    """
    fixed = settings.key()
    inference = (fixed or _new_key()) if settings.needs_tokens else None
    management = _new_key() if settings.needs_management_key else None
    return Keys(inference, management, fixed=fixed is not None)


def _new_key() -> str:
    return secrets.token_urlsafe(24)
