"""What a worker tells Prometheus, by model and version: requests, latencies, batches, records, warnings, memory.

A worker tells TorchServe a metric by printing a line for it, and TorchServe's own histograms have buckets that begin at
5 ms. So everything is summed up here, latencies into buckets of our own, and printed once a second at most.
"""

from __future__ import annotations

import os
import re
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from fastmar_runtime.observer import Observer

REQUESTS = "fastmar_requests_total"  # by status
SECONDS = "fastmar_request_seconds"  # _bucket by le, _sum, _count: of a request in the worker, as long as its batch
BATCHES = "fastmar_batches_total"
RECORDS = "fastmar_records_total"
REFUSED = "fastmar_refused_total"  # records, and requests that can't be read, by code
WARNINGS = "fastmar_warnings_total"  # by code
STARTS = "fastmar_worker_starts_total"
MEMORY = "fastmar_worker_memory_bytes"  # by worker

STATUSES = (200, 400, 500)  # shown as 0 from the start: Prometheus misses the first step of a series that appears later
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS = (*map(str, BOUNDS), "+Inf")
_EVERY = 1.0  # seconds
_SEPARATORS = re.compile(r"[^\w.+-]")  # what would end a label's value in TorchServe's line


class Declared(Protocol):
    """A metric of TorchServe's metrics.yaml: it prints a line."""

    def add_or_update(self, value: float, dimension_values: list[str]) -> None:
        """Add to a counter, set a gauge."""
        ...


class Metrics(Observer):
    """Counts of one worker. What the server's metrics.yaml does not declare is not said.

    Args:
        declared: TorchServe's metrics by name.
        model: name and version, the first two labels of each metric.
        worker: what tells this worker from others of the same server, over its restarts.
        every: seconds between two times that something is said.
    """

    def __init__(
        self, declared: Mapping[str, Declared], model: tuple[str, str], worker: str, every: float = _EVERY
    ) -> None:
        self._declared = declared
        self._model = [_SEPARATORS.sub("_", label) for label in model]
        self._worker = worker
        self._every = every
        self._records = 0  # these two are of the batch under way, and the handler's thread alone touches them
        self._codes: list[tuple[str, str]] = []
        self._lock = threading.Lock()  # for what has come together since the last time
        self._counts: Counter[tuple[str, str]] = Counter()
        self._slots = [0] * len(_LABELS)
        self._seconds = 0.0
        self._changed = threading.Event()
        if REQUESTS in declared:
            self._say_start()
            threading.Thread(target=self._say_often, name="metrics", daemon=True).start()

    def answered(self, answers: Sequence[dict[str, Any]]) -> None:
        """See `Observer`: codes of warnings and errors are counted."""
        self._records += len(answers)
        for answer in answers:
            if "error" in answer:
                self._codes.append((REFUSED, answer["error"]["code"]))
            elif answer["warnings"]:
                self._codes += [(WARNINGS, warning["code"]) for warning in answer["warnings"]]

    def refused(self, code: str) -> None:
        """See `Observer`."""
        self._codes.append((REFUSED, code))

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """See `Observer`."""
        with self._lock:
            for status, count in Counter(statuses).items():
                self._counts[REQUESTS, str(status)] += count
            self._counts[BATCHES, ""] += 1
            self._counts[RECORDS, ""] += self._records
            self._counts.update(self._codes)
            self._slots[bisect_left(BOUNDS, seconds)] += len(statuses)
            self._seconds += seconds * len(statuses)
        self._records = 0
        self._codes.clear()
        self._changed.set()

    def say(self) -> None:
        """Print what has come together since the last time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            slots, self._slots = self._slots, [0] * len(_LABELS)
            seconds, self._seconds = self._seconds, 0.0
        for (name, label), count in counts.items():
            self._add(name, count, label)
        for bound, count in zip(_LABELS, accumulate(slots), strict=True):
            if count:
                self._add(f"{SECONDS}_bucket", count, bound)
        if counts[BATCHES, ""]:
            self._add(f"{SECONDS}_sum", round(seconds, 6))
            self._add(f"{SECONDS}_count", sum(slots))
        self._say_memory()

    def _say_often(self) -> None:
        while True:
            self._changed.wait()
            time.sleep(self._every)
            self._changed.clear()
            self.say()

    def _say_start(self) -> None:
        self._add(STARTS, 1)
        for status in STATUSES:
            self._add(REQUESTS, 0, str(status))
        for bound in _LABELS:
            self._add(f"{SECONDS}_bucket", 0, bound)
        for name in (BATCHES, RECORDS, f"{SECONDS}_sum", f"{SECONDS}_count"):
            self._add(name, 0)
        self._say_memory()

    def _say_memory(self) -> None:
        with suppress(OSError):  # only Linux has the file
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            self._add(MEMORY, pages * os.sysconf("SC_PAGE_SIZE"), self._worker)

    def _add(self, name: str, value: float, label: str = "") -> None:
        metric = self._declared.get(name)  # the archive may be newer than the server, or older
        if metric is not None:
            metric.add_or_update(value, [*self._model, label] if label else self._model)
