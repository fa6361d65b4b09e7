"""The traffic of the models, from the metrics that a thread of this process reads regularly.

Counters of a server start at 0 when it starts, so the figures "since the server's start" need one reading. Those of the
last minutes need two: each is the increase between two readings.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fastmar_client import ClientError
from fastmar_client.metrics import Sample, read_metrics

REQUESTS = "fastmar_requests_total"  # by status
BUCKETS = "fastmar_request_seconds_bucket"  # by le
RECORDS = "fastmar_records_total"
REFUSED = "fastmar_refused_total"  # by code
WARNINGS = "fastmar_warnings_total"  # by code
METRICS = {REQUESTS: "status", BUCKETS: "le", RECORDS: "", REFUSED: "code", WARNINGS: "code"}

PERIOD = 10.0  # seconds between two readings
READINGS = 91  # that are kept: of 15 minutes
_SEPARATORS = re.compile(r"[^\w.+-]")  # which workers replace in labels

Counters = dict[tuple[str, str], float]
"""Values by metric and label."""
Version = tuple[str, str]
"""Name and version, as labels of metrics."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The metrics at one time.

    Attributes:
        time: the time of a monotonic clock, in seconds.
        counters: the counters of each version; None if the metrics could not be read.
    """

    time: float
    counters: dict[Version, Counters] | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The traffic of a version in some time.

    Attributes:
        requests, refused, failed: requests; those with a status from 400 and from 500.
        records: records.
        median, slowest: seconds in the worker, of half and of 99% of the requests; None without requests.
        codes: number of refusals and warnings by code, the most frequent first.
    """

    requests: float
    refused: float
    failed: float
    records: float
    median: float | None
    slowest: float | None
    codes: tuple[tuple[str, str, float], ...]

    @property
    def error_share(self) -> float | None:
        """The share of requests that were refused or failed; None without requests."""
        return (self.refused + self.failed) / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a version.

    Attributes:
        total: the figures since the server's start.
        recent: the figures of the latest intervals.
        seconds: the total length of these intervals.
        intervals: start and end of each interval in seconds before now, and its figures; None if they are unknown.
        age: seconds since the latest reading with this version.
    """

    total: Figures
    recent: Figures
    seconds: float
    intervals: tuple[tuple[float, float, Figures | None], ...]
    age: float = 0.0


class Poller:
    """Reads the metrics of a server once a period, in a thread.

    Args:
        url: the URL of the metrics.
        clock: the time in seconds.
        read: reads the metrics.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[str, Iterable[str]], list[Sample]] = read_metrics,  # type: ignore[assignment]
    ) -> None:
        self._url = url
        self._clock = clock
        self._read = read
        self._readings: deque[Reading] = deque(maxlen=READINGS)
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def start(self) -> None:
        """Read the metrics regularly from now on."""
        threading.Thread(target=self._poll_regularly, name="fastmar-metrics", daemon=True).start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def poll(self) -> None:
        """Read the metrics once."""
        try:
            counters = _by_version(self._read(self._url, METRICS))
        except ClientError:
            counters = None
        with self._lock:
            self._readings.append(Reading(self._clock(), counters))

    def traffic(self, name: str, version: str, *, last_known: bool = False) -> Traffic | None:
        """The traffic of a version; None if the latest reading does not have it.

        With `last_known` it is that of the latest reading which has it; None if no reading has it.
        """
        if not self._readings or self._clock() - self._readings[-1].time > 2 * PERIOD:  # the thread died in a fork
            self.poll()
        with self._lock:
            readings = list(self._readings)
        key = (_SEPARATORS.sub("_", name), _SEPARATORS.sub("_", version))
        while readings and key not in (readings[-1].counters or {}):
            if not last_known:
                return None
            del readings[-1]
        return _traffic(readings, key, self._clock()) if readings else None

    def _poll_regularly(self) -> None:
        while True:
            self.poll()
            if self._closed.wait(PERIOD):
                return


def _traffic(readings: Sequence[Reading], key: Version, now: float) -> Traffic:
    intervals: list[tuple[float, float, Figures | None]] = []
    recent: Counters = {}
    for before, after in pairwise(readings):
        found = None
        if before.counters is not None and after.counters is not None:
            increases = _increases(before.counters.get(key, {}), after.counters.get(key, {}))
            found = _figures(increases)
            for name, value in increases.items():
                recent[name] = recent.get(name, 0.0) + value
        intervals.append((now - before.time, now - after.time, found))
    latest = readings[-1].counters or {}
    seconds = sum(start - end for start, end, found in intervals if found)
    return Traffic(_figures(latest[key]), _figures(recent), seconds, tuple(intervals), now - readings[-1].time)


def _increases(before: Counters, after: Counters) -> Counters:
    """The increase of each counter; a counter that is lower than before started at 0 again."""
    return {
        name: value - before.get(name, 0.0) if value >= before.get(name, 0.0) else value
        for name, value in after.items()
    }


def _by_version(samples: Iterable[Sample]) -> dict[Version, Counters]:
    """The sums over all other labels, such as the worker's."""
    found: dict[Version, Counters] = {}
    for sample in samples:
        labels = sample.labels
        counters = found.setdefault((labels.get("model_name", ""), labels.get("model_version", "")), {})
        key = (sample.name, labels.get(METRICS[sample.name], ""))
        counters[key] = counters.get(key, 0.0) + sample.value
    return found


def _figures(counters: Counters) -> Figures:
    def labelled(metric: str) -> dict[str, float]:
        return {label: value for (name, label), value in counters.items() if name == metric}

    statuses = labelled(REQUESTS)
    buckets = sorted((float(bound), count) for bound, count in labelled(BUCKETS).items())
    codes = [
        (kind, code, count)
        for kind, metric in (("error", REFUSED), ("warning", WARNINGS))
        for code, count in labelled(metric).items()
        if count
    ]
    return Figures(
        sum(statuses.values()),
        sum(count for status, count in statuses.items() if status[:1] == "4"),
        sum(count for status, count in statuses.items() if status[:1] == "5"),
        counters.get((RECORDS, ""), 0.0),
        quantile(buckets, 0.5),
        quantile(buckets, 0.99),
        tuple(sorted(codes, key=lambda each: -each[2])),
    )


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """The quantile of a histogram, interpolated in its bucket as by Prometheus's `histogram_quantile`.

    Args:
        buckets: upper bound, and number of values up to it; by bound, the last one infinite.
        share: a share from 0 to 1.

    Returns:
        None without values. In the last bucket, its lower bound.
    """
    total = buckets[-1][1] if buckets else 0.0
    if not total:
        return None
    rank = share * total
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
