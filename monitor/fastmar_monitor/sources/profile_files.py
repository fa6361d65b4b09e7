"""Files of profiles that workers write, in a folder or an object store: JSON lines, one for each period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from fastmar_contract.urls import is_url
from fastmar_monitor.errors import NoLiveData
from fastmar_monitor.sources.live import Live, Query, as_time, period_start
from fastmar_monitor.stores import open_files
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.profiles.profile import FORMAT, Profile, empty, read_counts

ENDING = ".jsonl"
_KEYS = {"format", "model", "version", "digest", "start", "rows", "counts"}
_SERVERS = ("http://", "https://")


def matches(data: str) -> bool:
    """Whether it is a file or folder of profiles, or the URL of one in an object store."""
    if is_url(data):
        return not data.startswith(_SERVERS)
    path = Path(data)
    if path.is_dir():
        path = next(path.rglob(f"*{ENDING}"), path)
    if path.suffix.lower() != ENDING or not path.is_file():
        return False
    with path.open("rb") as file:
        return _parse(next(iter(file), b"")) is not None


def read(query: Query) -> Live:
    """See `read_live`. The profiles of other models are ignored; those of other versions are reported."""
    found = _Found(query, query.reference.digest)
    for line in _lines(query.data):
        found.add(line)
    if not found.periods:
        raise NoLiveData(
            f"{query.data} has no profile of {query.spec.name} {query.spec.version}"
            f"{' since ' + query.since.isoformat() if query.since else ''}"
            f"{'; it has ' + ', '.join(sorted(found.others)) if found.others else ''}.",
            fix="pass the profile files of this model and version, and the archive that is served.",
        )
    periods = tuple(sorted(found.periods.items()))
    total = sum((profile for _, profile in periods), start=empty(query.reference.profile.variables))
    return Live(total, periods if query.by else (), notices=tuple(found.notices()))


@dataclass
class _Found:
    """The profiles of a model by period, and what was not read."""

    query: Query
    digest: str
    periods: dict[datetime, Profile] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    same_model: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    killed: int = 0
    rows: int = 0

    def add(self, text: bytes) -> None:
        """Add the profile of a line, if it is one of the model."""
        line = _parse(text)
        if line is None:
            self.unreadable += 1
            return
        spec, variables = self.query.spec, self.query.reference.profile.variables
        label = f"{line['model']} {line['version']}"
        if (line["model"], line["version"], line["digest"]) != (spec.name, spec.version, self.digest):
            self.others[label] += 1
            if line["model"] == spec.name:
                self.same_model[label] += line["rows"]
            return
        try:
            start = as_time(line["start"])
            profile = read_counts(line, variables, "profile")
        except (BundleUnreadable, ValueError):
            self.unreadable += 1
            return
        if self.query.since is not None and start < self.query.since:
            return
        self.killed += line.get("after_kill") is True
        period = period_start(start, self.query.by)
        before = self.periods.get(period)
        self.periods[period] = profile if before is None else before + profile
        self.rows += profile.rows
        self.query.on_progress(self.rows)

    def notices(self) -> Iterator[str]:
        """What was not read."""
        if self.unreadable:
            lines = "1 line" if self.unreadable == 1 else f"{self.unreadable:,} lines"
            yield f"{lines} can't be read: the worker was killed while it wrote, or the file is damaged."
        if self.killed:
            times = "once" if self.killed == 1 else f"{self.killed:,} times"
            yield f"A worker was killed {times}: its records since its last report were not counted."
        for label, rows in sorted(self.same_model.items()):
            same = label == f"{self.query.spec.name} {self.query.spec.version}"
            yield f"{rows:,} records of {label}{' with another reference' if same else ''} were left out."


def _parse(text: bytes) -> dict[str, Any] | None:
    """The object of a line; None if it is no profile."""
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if (
        not isinstance(line, dict)
        or not line.keys() >= _KEYS
        or line["format"] != FORMAT
        or type(line["rows"]) is not int
    ):
        return None
    return line if all(isinstance(line[key], str) for key in ("model", "version", "digest", "start")) else None


def _lines(data: str) -> Iterator[bytes]:
    """The lines of all files, without empty ones."""
    for _, file in open_files(data, (ENDING,)):
        yield from (line for line in file if line.strip())
