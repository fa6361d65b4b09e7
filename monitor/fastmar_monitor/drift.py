"""Measures the drift of live data from the reference profile of an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fastmar_monitor.comparison import Comparer, Comparison
from fastmar_monitor.errors import NoProfile
from fastmar_monitor.known import NOTICE, compare_known
from fastmar_monitor.sources import Live, Query, read_live
from fastmar_monitor.verdicts import REFUSED_LIMIT
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec
from fastmar_runtime.profiles.building import reference_in
from fastmar_runtime.profiles.known import known_reference


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of live data.

    Attributes:
        model, version: the model and the version of the archive.
        comparison: the comparison of all records.
        periods: the start of each day or hour (UTC), and its comparison; empty without periods.
        live: what was compared.
    """

    model: str
    version: str
    comparison: Comparison
    periods: tuple[tuple[datetime, Comparison], ...]
    live: Live

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "model": self.model,
            "version": self.version,
            **self.comparison.as_dict(),
            "refused": self.live.refused,
            "periods": [{"start": start.isoformat(), **each.as_dict()} for start, each in self.periods],
            "notices": list(self.live.notices),
        }


def measure(
    archive: Path,
    data: str,
    *,
    since: datetime | None = None,
    by: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    key_file: Path | None = None,
) -> Drift:
    """Compare data with the reference profile of an archive; see `Query`.

    Raises:
        NoProfile: the archive knows nothing about its training data.
        FastmarError: the archive or the data can't be read.
        ClientError: a server can't be read.
    """
    files = BundleFiles(archive)
    spec = read_spec(files)
    profiled = reference_in(files, spec)
    reference = profiled or known_reference(spec)
    if reference is None:
        raise NoProfile(
            f"{archive} has no profile of its training data.",
            fix="export the learner again with --reference and typical data, such as the training data.",
        )
    live = read_live(Query(data, archive, spec, reference, since, by, on_progress, key_file))
    if profiled is None:
        compare, live = compare_known, replace(live, notices=(NOTICE, *live.notices))
    else:
        compare = Comparer(profiled).compare
    live = replace(live, notices=(*live.notices, *_refusals(live)))
    periods = tuple((start, compare(profile, live.hidden)) for start, profile in live.periods)
    return Drift(spec.name, spec.version, compare(live.profile, live.hidden), periods, live)


def _refusals(live: Live) -> Iterator[str]:
    """A notice if the model refuses many records: they are not compared, so that their changes are not found."""
    sent = live.profile.rows + live.refused
    if live.refused > REFUSED_LIMIT * sent:
        yield (
            f"The model refused {live.refused:,} of {sent:,} records ({live.refused / sent:.1%}), and they are not "
            "compared. Their error codes name the causes; they are in the answers, the request log and the metric "
            "fastmar_refused_total."
        )
