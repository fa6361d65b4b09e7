"""The drift of the records of a model. This module alone imports fastmar_monitor, whose packages are optional."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from fastmar_contract.errors import FastmarError
from fastmar_web.errors import PageError

CACHED_SECONDS = 15.0  # workers report their counts every 30 s by default
MAX_CARDS = 60  # of fields that changed
MIN_CARDS = 12  # of fields; unchanged ones fill up


_FOLDER = "start the web app with --monitor and the model store of the server."
_REASONS = {
    "no_live_data": (
        "The server has not counted any record of this version yet.",
        "wait for requests: workers report their counts every 30 seconds.",
    ),
    "other_reference": ("The archive in the folder is not the one that the server has loaded.", _FOLDER),
    "server_unreachable": ("The metrics of the server can't be read.", "check --metrics-url of the web app."),
}
"""Message and fix by the code of an error. Its own message names files and addresses, which visitors need not know."""


@dataclass(frozen=True, slots=True)
class DriftView:
    """The drift of the records that a version answered since the server's start.

    Attributes:
        verdict: the verdict as HTML.
        sentence: what the verdict is based on.
        rows, reference_rows: records of the requests, and of the reference data.
        notices: what the visitor should know.
        answers, fields: a card for each part of the answers and for each field, as HTML; the largest change first.
        left_out: number of fields without a card.
        measured_at: when it was measured.
    """

    verdict: Markup
    sentence: str
    rows: int
    reference_rows: int
    notices: tuple[str, ...]
    answers: tuple[Markup, ...]
    fields: tuple[Markup, ...]
    left_out: int
    measured_at: datetime


class DriftSource:
    """Compares the counts of the workers with the reference profiles of archives. Safe to use from several threads.

    Args:
        store: folder of the archives.
        url: the URL of the server's metrics.
        clock: the time in seconds.
    """

    def __init__(self, store: Path, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()  # several visitors wait for one measurement
        self._measured: dict[tuple[str, str], DriftView] = {}  # the last one of each version
        self._cached: dict[tuple[str, str], tuple[float, DriftView | PageError]] = {}

    def view(self, name: str, version: str) -> DriftView | PageError:
        """The drift of a version, or why it can't be measured; at most `CACHED_SECONDS` old."""
        with self._lock:
            cached = self._cached.get((name, version))
            if cached and self._clock() - cached[0] < CACHED_SECONDS:
                return cached[1]
            try:
                found: DriftView | PageError
                found = self._measured[name, version] = _measure(self._store, self._url, name, version)
            except PageError as error:
                found = error
            self._cached[name, version] = (self._clock(), found)
            return found

    def last(self, name: str, version: str) -> DriftView | None:
        """The drift of a version when it was measured last; None if it never was."""
        return self._measured.get((name, version))


def _measure(store: Path, url: str, name: str, version: str) -> DriftView:
    try:
        from fastmar_monitor.archives import find_archive, has_profile  # noqa: PLC0415 - optional
        from fastmar_monitor.drift import measure  # noqa: PLC0415
        from fastmar_monitor.report import card, chip  # noqa: PLC0415
        from fastmar_monitor.verdicts import DRIFT, WATCH  # noqa: PLC0415
        from fastmar_monitor.wording import headline  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PageError(
            "Drift is measured by packages that are not installed where the web app runs.",
            fix="run `pip install 'fastmar[monitoring]'` there, and start the web app again.",
            code="monitoring_not_installed",
        ) from error
    archive = find_archive(store, name, version)
    if archive is None:
        raise PageError("The folder of archives does not have this version.", fix=_FOLDER, code="archive_not_found")
    try:
        if not has_profile(archive):
            raise PageError(
                "The archive of this version has no profile of its training data, so there is nothing to compare with.",
                fix="export the learner again with --reference and its training data, and deploy the archive.",
                code="no_profile",
            )
        drift = measure(archive, url)
    except FastmarError as error:
        if error.code not in _REASONS:
            print(f"fastmar web: {error.message}", file=sys.stderr, flush=True)
        message, fix = _REASONS.get(error.code, ("The drift can't be measured.", "see the log of `fastmar web`."))
        raise PageError(message, fix=fix, code=error.code) from error
    comparison = drift.comparison
    changed = sum(each.verdict in (DRIFT, WATCH) for each in comparison.fields)
    shown = comparison.fields[: max(MIN_CARDS, min(changed, MAX_CARDS))]
    return DriftView(
        Markup(chip(comparison.verdict)),  # noqa: S704 - the report escapes its texts
        headline(comparison),
        comparison.rows,
        comparison.reference_rows,
        drift.live.notices,
        tuple(Markup(card(each)) for each in comparison.answers),  # noqa: S704
        tuple(Markup(card(each)) for each in shown),  # noqa: S704
        len(comparison.fields) - len(shown),
        datetime.now(UTC),
    )
