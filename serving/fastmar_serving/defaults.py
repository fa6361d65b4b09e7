"""The saved default version of each model, in `defaults.json` in the state directory.

The format is {"NAME": {"default": "2.0", "before": ["1.0"]}}, where `before` lists former defaults, the latest last.
`fastmar serve` reads the file at its start; `fastmar deploy` and `fastmar rollback` write it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FILE = "defaults.json"


@dataclass(frozen=True)
class Default:
    """The default version of one model.

    Attributes:
        version: the default version.
        before: former default versions without duplicates, the latest last.
    """

    version: str
    before: tuple[str, ...] = ()

    def switched(self, version: str) -> Default:
        """The entry after a deployment: the former default becomes the last of `before`."""
        if version == self.version:
            return self
        return Default(version, (*(v for v in self.before if v not in (version, self.version)), self.version))

    def rolled_back(self, version: str) -> Default:
        """The entry after a rollback: `before` ends before the version that is the default again."""
        kept = self.before[: self.before.index(version)] if version in self.before else self.before
        return Default(version, tuple(v for v in kept if v not in (version, self.version)))


def read_defaults(store: Path, warn: Callable[..., None] = log.warning) -> dict[str, Default]:
    """The saved defaults by model name. Warns of a damaged file or entry, and ignores it."""
    file = store / FILE
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        warn("%s can't be read (%s): each model starts with its newest version", file, error)
        return {}
    if not isinstance(content, dict):
        warn("%s is not a JSON object: each model starts with its newest version", file)
        return {}
    read = {name: _read(entry) for name, entry in content.items()}
    damaged = sorted(name for name, default in read.items() if default is None)
    if damaged:
        warn("%s has no valid default version of %s", file, ", ".join(damaged))
    return {name: default for name, default in read.items() if default is not None}


def write_defaults(store: Path, defaults: Mapping[str, Default]) -> None:
    """Write the file atomically; remove it if `defaults` is empty.

    Raises:
        OSError: the folder is not writable.
    """
    if not defaults:
        (store / FILE).unlink(missing_ok=True)
        return
    content = {
        name: {"default": default.version, "before": list(default.before)} for name, default in sorted(defaults.items())
    }
    descriptor, draft_name = tempfile.mkstemp(prefix=f".{FILE}-", dir=store)
    draft = Path(draft_name)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(store / FILE)
    finally:
        draft.unlink(missing_ok=True)


def _read(entry: Any) -> Default | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("default"), str):
        return None
    before = entry.get("before")
    return Default(entry["default"], tuple(v for v in before if isinstance(v, str)) if isinstance(before, list) else ())
