"""The last deployments of a model, from the audit log of `fastmar deploy`, `rollback` and `models --unload`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

AUDIT_LOG = "audit.jsonl"
MAX_BYTES = 2_000_000  # of the end of the log that is read
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Deployment:
    """A change of the versions, or an attempt. Who made it, and where, is not shown.

    Attributes:
        time: when it ended.
        action: "deploy", "rollback" or "unload".
        result: "success", "refused" or "failed".
        before: the default version before it; of an unload, the unloaded version.
        after: the requested version; None of an unload.
        code: the code of the error, or None.
    """

    time: datetime
    action: str
    result: str
    before: str | None
    after: str | None
    code: str | None


def deployments(folder: Path, model: str) -> list[Deployment] | None:
    """The last deployments of a model, the latest first; None if the folder has no readable audit log."""
    try:
        with (folder / AUDIT_LOG).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_BYTES))
            lines = file.read(MAX_BYTES).splitlines()
    except OSError:
        return None
    return list(_read(reversed(lines), model))[:SHOWN]


def _read(lines: Iterator[bytes], model: str) -> Iterator[Deployment]:
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["model"] == model:
                texts: list[Any] = [
                    entry["action"],
                    entry["result"],
                    *(entry.get(key) for key in ("from", "to", "code")),
                ]
                yield Deployment(datetime.fromisoformat(entry["time"]), *(each and str(each) for each in texts))
        except (ValueError, TypeError, KeyError):  # a half line, or not one of ours
            continue
