"""Reports the profile of a worker once a period: as metrics, and as a line of a file."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import threading
from collections import Counter as Multiset
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fastmar_contract.profiles import COUNTS, PERIOD, ROWS, SHARES
from fastmar_runtime.metrics import TorchServeMetric, label_value
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import reference_in
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.known import known_reference
from fastmar_runtime.profiles.profile import FORMAT, Profile, Reference
from fastmar_runtime.profiles.variables import Counts, Variable

log = logging.getLogger(__name__)

MAX_SERIES = 5000  # slots of a model that become metrics; the files have all
LAST = b'"last":true'  # in the line that a worker writes when it stops


def reference_of(predictor: Predictor, folder: Path | None = None) -> Reference | None:
    """The reference profile of the archive that `predictor` was opened from; None if nothing is to be counted.

    Without a profile, the variables that the archive knows are counted for the files in `folder`, if it is given.

    Raises:
        BundleUnreadable: the profile is invalid.
    """
    found = None if predictor.files is None else reference_in(predictor.files, predictor.spec)
    return known_reference(predictor.spec) if found is None and folder is not None else found


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
        reference: the reference profile of the model.
        model: its name and version.
        declared: metrics by name; those that are missing are not reported.
        worker: identifies the worker on its server.
        folder: the folder of the files; None writes no files.
        period: seconds between two reports.
        on_killed: called with the model if the process that had this worker's number before was killed.
    """

    def __init__(
        self,
        reference: Reference,
        model: tuple[str, str],
        declared: Mapping[str, TorchServeMetric],
        worker: str,
        folder: Path | None = None,
        period: float = PERIOD,
        on_killed: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(reference.profile.variables)
        self._digest = reference.digest
        self._model = model
        self._worker = worker
        if not reference.profile.rows:
            declared = {}  # without shares to compare with
        self._rows_metric, self._counts_metric = declared.get(ROWS), declared.get(COUNTS)
        self._labels = [label_value(label) for label in model]
        variables = reference.profile.variables
        self._series = [*zip(label_names(variables), (variable.keys() for variable in variables), strict=True)]
        self._report_start(reference.profile, declared.get(SHARES))
        self._folder = folder
        self._period = period
        self._start = datetime.now(UTC)
        self._previous_was_killed = folder is not None and self._find_killed(folder)
        if self._previous_was_killed:
            on_killed(" ".join(model))
        self._closed = threading.Event()
        self._reporting = threading.Lock()
        threading.Thread(target=self._report_regularly, name="profile", daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """See `Observer`. Reports for the last time."""
        if not self._closed.is_set():
            self._closed.set()
            self.report(last=True)
            atexit.unregister(self.close)

    def report(self, *, last: bool = False) -> None:
        """Report the counts since the last call. The last report is written also without records."""
        with self._reporting:
            profile = self.take()
            start, self._start = self._start, datetime.now(UTC)
            if profile.rows == 0 and not last:
                return
            self._add_to_metrics(profile)
            if self._folder is not None:
                try:
                    self._append(self._folder, profile, start, last=last)
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

    def _find_killed(self, folder: Path) -> bool:
        """Whether the process that had this worker's number before was killed: it wrote no last report."""
        try:
            path = max(folder.glob(self._file_name("*", "*")), key=lambda path: path.stat().st_mtime)
            lines = path.read_bytes().splitlines()
        except (OSError, ValueError):  # ValueError: there is no file
            return False
        return not (lines and LAST in lines[-1]) and not _is_running(int(path.stem.rpartition("_")[2]))

    def _file_name(self, day: str, process: str) -> str:
        return f"{'_'.join(self._labels)}_{day}_{socket.gethostname()}_{self._worker}_{process}.jsonl"

    def _append(self, folder: Path, profile: Profile, start: datetime, *, last: bool) -> None:
        """Append a line to the file of this process and day. It is written at once, and no other process writes it."""
        line = {
            "format": FORMAT,
            "model": self._model[0],
            "version": self._model[1],
            "digest": self._digest,
            "host": socket.gethostname(),
            "worker": self._worker,
            "start": start.isoformat(timespec="seconds"),
            "end": self._start.isoformat(timespec="seconds"),
            **profile.as_dict(),
            **({"after_kill": True} if self._previous_was_killed else {}),
            **({"last": True} if last else {}),
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self._file_name(f"{self._start:%Y%m%d}", str(os.getpid()))
        with path.open("ab", buffering=0) as file:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._previous_was_killed = False


def warn_of_killed(models: Sequence[str], period: float) -> None:
    """Log once that the previous process of this worker was killed, with its models; nothing without models."""
    if models:
        names = ", ".join(models)
        log.warning("a worker was killed: counts of %s since its last report, up to %g s, are lost", names, period)


def _is_running(process: int) -> bool:
    """Whether another process has this number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
