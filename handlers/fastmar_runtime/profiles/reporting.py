"""Reports the profile of a worker once a period: as metrics, and as a line of a file."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import threading
from collections import Counter as Multiset
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fastmar_contract.profiles import COUNTS, PERIOD, ROWS, SHARES
from fastmar_runtime.metrics import TorchServeMetric, label_value
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import reference_in
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.profile import FORMAT, Profile, Reference
from fastmar_runtime.profiles.variables import Counts, Variable

log = logging.getLogger(__name__)

MAX_SERIES = 5000  # slots of a model that become metrics; the files have all


def reference_of(predictor: Predictor) -> Reference | None:
    """The reference profile of the archive that `predictor` was opened from; None if it has none.

    Raises:
        BundleUnreadable: it is invalid.
    """
    return None if predictor.files is None else reference_in(predictor.files, predictor.spec)


def label_names(variables: Sequence[Variable]) -> list[str]:
    """A distinct name for each variable, as the label of a metric."""
    names = []
    seen: Multiset[str] = Multiset()
    for variable in variables:
        name = label_value(f"{variable.source}.{variable.name}")
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return names


def reference_share(counts: Counts, slot: int) -> float:
    """The share of a slot in the counts of the reference, as a metric."""
    return round(int(counts[slot]) / max(1, int(counts.sum())), 6)


class Reporter(Counter):
    """Counts records, and reports the counts once a period, when it is closed, and at the end of the process.

    Args:
        reference: of the model.
        model: its name and version.
        declared: metrics by name; those that are missing are not reported.
        worker: identifies the worker on its server.
        folder: of the files; None writes none.
        period: seconds between two reports.
    """

    def __init__(
        self,
        reference: Reference,
        model: tuple[str, str],
        declared: Mapping[str, TorchServeMetric],
        worker: str,
        folder: Path | None = None,
        period: float = PERIOD,
    ) -> None:
        super().__init__(reference.profile.variables)
        self._digest = reference.digest
        self._model = model
        self._worker = worker
        self._rows_metric, self._counts_metric = declared.get(ROWS), declared.get(COUNTS)
        self._labels = [label_value(label) for label in model]
        variables = reference.profile.variables
        self._series = [*zip(label_names(variables), (variable.keys() for variable in variables), strict=True)]
        self._report_start(reference.profile, declared.get(SHARES))
        self._folder = folder
        self._period = period
        self._start = datetime.now(UTC)
        self._closed = threading.Event()
        self._reporting = threading.Lock()
        threading.Thread(target=self._report_regularly, name="profile", daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """See `Observer`. Reports for the last time."""
        if not self._closed.is_set():
            self._closed.set()
            self.report()
            atexit.unregister(self.close)

    def report(self) -> None:
        """Report the counts since the last call."""
        with self._reporting:
            profile = self.take()
            start, self._start = self._start, datetime.now(UTC)
            if profile.rows == 0:
                return
            self._add_to_metrics(profile)
            if self._folder is not None:
                try:
                    self._append(self._folder, profile, start)
                except OSError as error:
                    log.warning("the profile of %s can't be written: %s", self._model[0], error)

    def _report_regularly(self) -> None:
        while not self._closed.wait(self._period):
            self.report()

    def _report_start(self, reference: Profile, shares: TorchServeMetric | None) -> None:
        """Report the reference, and counts of 0: Prometheus misses the first increase of a new series."""
        if self._rows_metric is not None:
            self._rows_metric.add_or_update(0, self._labels)
        for labels, counts, slot in self._slots(reference):
            if self._counts_metric is not None:
                self._counts_metric.add_or_update(0, labels)
            if shares is not None:
                shares.add_or_update(reference_share(counts, slot), labels)

    def _add_to_metrics(self, profile: Profile) -> None:
        if self._rows_metric is None or self._counts_metric is None:
            return
        self._rows_metric.add_or_update(profile.rows, self._labels)
        for labels, counts, slot in self._slots(profile):
            if counts[slot]:
                self._counts_metric.add_or_update(int(counts[slot]), labels)

    def _slots(self, profile: Profile) -> Iterator[tuple[list[str], Counts, int]]:
        """Labels, counts of the variable, and slot of each metric."""
        series = 0
        for (name, keys), counts in zip(self._series, profile.counts, strict=True):
            series += len(counts)
            if series > MAX_SERIES:
                return
            for slot, key in enumerate(keys):
                yield [*self._labels, name, key], counts, slot

    def _append(self, folder: Path, profile: Profile, start: datetime) -> None:
        """Append a line to the file of this process and day. It is written at once, and no other process writes it."""
        name, version = self._labels
        host = socket.gethostname()
        line = {
            "format": FORMAT,
            "model": self._model[0],
            "version": self._model[1],
            "digest": self._digest,
            "host": host,
            "worker": self._worker,
            "start": start.isoformat(timespec="seconds"),
            "end": self._start.isoformat(timespec="seconds"),
            **profile.as_dict(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}_{version}_{self._start:%Y%m%d}_{host}_{os.getpid()}.jsonl"
        with path.open("ab", buffering=0) as file:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
