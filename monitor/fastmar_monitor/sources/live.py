"""What a source reads, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastmar_runtime.profiles.profile import Profile, Reference
from fastmar_runtime.spec import Spec

DAY, HOUR = "day", "hour"


@dataclass(frozen=True, slots=True)
class Query:
    """The data to read, and the model that it is for.

    Attributes:
        data: path or URL.
        archive: the archive of the model.
        spec: the spec of the model.
        reference: the reference profile of the model.
        since: only records of periods that start then, or later.
        by: `DAY` or `HOUR` for a profile of each; None for one of all records.
        on_progress: called with the number of records so far.
        key_file: file with the key of Prometheus; see `fastmar_client.keys.KeyFile`.
    """

    data: str
    archive: Path
    spec: Spec
    reference: Reference
    since: datetime | None = None
    by: str | None = None
    on_progress: Callable[[int], None] = lambda _: None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """The profile of live data.

    Attributes:
        profile: the profile of all records.
        periods: the start of each day or hour (UTC) and its profile, the earliest first; empty without `Query.by`.
        hidden: fields of which the live data never have a value, and why: "hashed" or "dropped".
        refused: number of records that the model refused; they are not in the profile. Of a server and of Prometheus,
            this includes requests that could not be read as records.
        notices: what the reader of the report should know.
    """

    profile: Profile
    periods: tuple[tuple[datetime, Profile], ...] = ()
    refused: int = 0
    notices: tuple[str, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)


def period_start(time: datetime, by: str | None) -> datetime:
    """The start of the day or hour (UTC) of a time; without `by`, the same time for all."""
    if by is None:
        return datetime.min.replace(tzinfo=UTC)
    time = time.astimezone(UTC)
    return time.replace(hour=0 if by == DAY else time.hour, minute=0, second=0, microsecond=0)


def as_time(value: Any) -> datetime:
    """A time in UTC, which is assumed without an offset. Raises TypeError or ValueError if it is none."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise TypeError("not a time")
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
