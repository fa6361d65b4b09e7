"""Prometheus metrics of a worker, by model and version: requests, latencies, batches, records, warnings, memory.

A worker sends a metric to TorchServe by printing a line, and the buckets of TorchServe's histograms start at 5 ms.
Therefore counts and latency buckets are kept here, and printed at most once a second.
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
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Protocol

from fastmar_runtime.bodies.request import Request
from fastmar_runtime.observer import Observer
from fastmar_runtime.preprocess import Columns

REQUESTS = "fastmar_requests_total"  # by status
SECONDS = "fastmar_request_seconds"  # _bucket by le, _sum, _count: duration of a request's batch in the worker
BATCHES = "fastmar_batches_total"
RECORDS = "fastmar_records_total"
REFUSED = "fastmar_refused_total"  # refused records and requests, by code
WARNINGS = "fastmar_warnings_total"  # by code
STARTS = "fastmar_worker_starts_total"
MEMORY = "fastmar_worker_memory_bytes"  # by worker
METRICS = (
    REQUESTS,
    *(f"{SECONDS}_{part}" for part in ("bucket", "sum", "count")),
    BATCHES,
    RECORDS,
    REFUSED,
    WARNINGS,
    STARTS,
    MEMORY,
)

STATUSES = (200, 400, 500, 503)  # start at 0: Prometheus misses the first increase of a new series
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS = (*map(str, BOUNDS), "+Inf")
_INTERVAL = 1.0  # seconds
_SEPARATORS = re.compile(r"[^\w.+-]")  # characters that would end a label's value in TorchServe's line


def label_value(text: str) -> str:
    """A text as the value of a label."""
    return _SEPARATORS.sub("_", text)


class TorchServeMetric(Protocol):
    """A metric that TorchServe's metrics.yaml declares. Updating it prints a line."""

    def add_or_update(self, value: float, dimension_values: list[str]) -> None:
        """Add to a counter, set a gauge."""
        ...


class Metrics(Observer):
    """Metrics of one worker. Metrics that the server's metrics.yaml does not declare are dropped.

    Args:
        declared: TorchServe's metrics by name.
        model: name and version, the first two labels of each metric.
        worker: identifies the worker on its server, also after restarts.
        interval: seconds between prints.
    """

    counts_checks = True

    def __init__(
        self, declared: Mapping[str, TorchServeMetric], model: tuple[str, str], worker: str, interval: float = _INTERVAL
    ) -> None:
        self._declared = declared
        self._model = [label_value(label) for label in model]
        self._worker = worker
        self._interval = interval
        self._lock = threading.Lock()  # for the sums since the last print
        self._counts: Counter[tuple[str, str]] = Counter()
        self._slots = [0] * len(_LABELS)
        self._seconds = 0.0
        self._changed = threading.Event()
        if REQUESTS in declared:
            self._report_start()
            threading.Thread(target=self._flush_regularly, name="metrics", daemon=True).start()

    def computed(
        self,
        requests: Sequence[Request],  # noqa: ARG002 - for other observers
        answers: Sequence[Sequence[dict[str, Any]]],
        groups: Sequence[tuple[Columns, Sequence[int]]],  # noqa: ARG002
    ) -> None:
        """See `Observer`. Counts the codes of warnings and errors."""
        codes: list[tuple[str, str]] = []
        records = 0
        for answer in chain.from_iterable(answers):
            records += 1
            if "error" in answer:
                codes.append((REFUSED, answer["error"]["code"]))
            elif answer["warnings"]:
                codes += [(WARNINGS, warning["code"]) for warning in answer["warnings"]]
        with self._lock:
            self._counts[RECORDS, ""] += records
            if codes:
                self._counts.update(codes)

    def refused(self, code: str) -> None:
        """See `Observer`."""
        with self._lock:
            self._counts[REFUSED, code] += 1
        self._changed.set()

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """See `Observer`."""
        with self._lock:
            for status, count in Counter(statuses).items():
                self._counts[REQUESTS, str(status)] += count
            self._counts[BATCHES, ""] += 1
            self._slots[bisect_left(BOUNDS, seconds)] += len(statuses)
            self._seconds += seconds * len(statuses)
        self._changed.set()

    def flush(self) -> None:
        """Print the sums since the last call."""
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
        self._report_memory()

    def _flush_regularly(self) -> None:
        while True:
            self._changed.wait()
            time.sleep(self._interval)
            self._changed.clear()
            self.flush()

    def _report_start(self) -> None:
        self._add(STARTS, 1)
        for status in STATUSES:
            self._add(REQUESTS, 0, str(status))
        for bound in _LABELS:
            self._add(f"{SECONDS}_bucket", 0, bound)
        for name in (BATCHES, RECORDS, f"{SECONDS}_sum", f"{SECONDS}_count"):
            self._add(name, 0)
        self._report_memory()

    def _report_memory(self) -> None:
        with suppress(OSError):  # the file exists only on Linux
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            self._add(MEMORY, pages * os.sysconf("SC_PAGE_SIZE"), self._worker)

    def _add(self, name: str, value: float, label: str = "") -> None:
        metric = self._declared.get(name)  # the archive may be newer or older than the server
        if metric is not None:
            metric.add_or_update(value, [*self._model, label] if label else self._model)
