"""Names of unknown categories in the requests, from the server's request log."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastmar_contract.categories import UNKNOWN
from fastmar_contract.display import printable
from fastmar_contract.request_log import ENDING, is_entry

CACHED_SECONDS = 15.0
MAX_BYTES = 10_000_000  # of the latest lines that are read
SHOWN = 30
MAX_LENGTH = 80  # characters of a name


@dataclass(frozen=True, slots=True)
class UnknownView:
    """The unknown categories of a version.

    Attributes:
        rows: field, category and number of records; the most frequent first. The category is None if the log does not
            have the values of the field, or only their hashes.
        left_out: number of rows that are not in `rows`.
        records: number of logged records among which they are.
        since: time of the first of these records; None without records.
        unreadable: number of files that can't be read: only the server's user can, by default.
    """

    rows: tuple[tuple[str, str | None, int], ...]
    left_out: int
    records: int
    since: datetime | None
    unreadable: int


class RequestLog:
    """Reads the latest part of a request log. Safe to use from several threads.

    Args:
        folder: the folder of the log.
        clock: the time in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: dict[tuple[str, str], tuple[float, UnknownView]] = {}

    def view(self, name: str, version: str) -> UnknownView:
        """The unknown categories of a version; at most `CACHED_SECONDS` old."""
        with self._lock:
            cached = self._cached.get((name, version))
            if cached is None or self._clock() - cached[0] >= CACHED_SECONDS:
                cached = self._clock(), _read(self._folder, name, version)
                self._cached[name, version] = cached
            return cached[1]


def _read(folder: Path, name: str, version: str) -> UnknownView:
    counts: Counter[tuple[str, str | None]] = Counter()
    records, since = 0, None
    unreadable: list[Path] = []
    for line in _lines(folder, unreadable):
        try:
            entry = json.loads(line)
            if not is_entry(entry) or (entry["model"], entry["version"]) != (name, version):
                continue
            when = datetime.fromisoformat(entry["time"]).astimezone(UTC)
            counts.update(_unknown(entry))
        except (ValueError, TypeError, AttributeError):  # a half line, or not one of ours
            continue
        records += 1
        since = when if since is None else min(since, when)
    rows = tuple((field, category, count) for (field, category), count in counts.most_common(SHOWN))
    return UnknownView(rows, len(counts) - len(rows), records, since, len(unreadable))


def _unknown(entry: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Field and name of the unknown categories of a record."""
    warnings = entry["answer"].get("warnings", ())
    fields = {str(warning.get("field")) for warning in warnings if warning.get("code") == UNKNOWN}
    named = entry["record"].keys() - set(entry.get("hashed", ()))
    return [(field, _text(entry["record"][field]) if field in named else None) for field in fields]


def _text(value: Any) -> str:
    text = printable(str(value))
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"


def _lines(folder: Path, unreadable: list[Path]) -> Iterator[bytes]:
    """The lines of the latest files, as far as `MAX_BYTES` go; adds to `unreadable`."""
    left = MAX_BYTES
    for path in sorted(folder.rglob(f"*{ENDING}"), key=_modified, reverse=True):
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - left))
                yield from file.read(left).splitlines()
        except FileNotFoundError:  # it was just removed
            continue
        except OSError:
            unreadable.append(path)
            continue
        left -= size
        if left <= 0:
            return


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
