"""The metrics of all workers in the Prometheus format: workers send their changes, and the launcher keeps the sums.

Therefore counters survive the end of a worker, and one scrape covers all workers.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fastmar_contract import request_log
from fastmar_contract.profiles import COUNTS, ROWS, SHARES
from fastmar_runtime import metrics as names
from fastmar_serving.asgi.process import Change
from fastmar_serving.left_out import METRIC as LEFT_OUT
from fastmar_serving.ports import METRICS, listen_error

MODEL = ["model_name", "model_version"]
LABELS = {
    names.REQUESTS: ("Requests.", [*MODEL, "status"]),
    names.BATCHES: ("Batches.", MODEL),
    names.RECORDS: ("Records.", MODEL),
    names.REFUSED: ("Refused records and requests.", [*MODEL, "code"]),
    names.WARNINGS: ("Warnings.", [*MODEL, "code"]),
    names.STARTS: ("Worker starts.", MODEL),
    ROWS: ("Records that were counted by their values.", MODEL),
    request_log.ROWS: ("Records that were written to the request log.", MODEL),
    request_log.DROPPED: ("Records that the request log lost.", MODEL),
    COUNTS: ("Values by variable and slot of the model's profile.", [*MODEL, "variable", "slot"]),
}
GAUGES = {
    names.MEMORY: ("Resident memory.", [*MODEL, "worker"]),
    SHARES: ("Shares of the values in the reference data, by variable and slot.", [*MODEL, "variable", "slot"]),
}


WORKERS, READY = "fastmar_workers", "fastmar_workers_ready"
"""Gauges of the launcher: the number of workers that it runs, and of those that have loaded the models."""


class Metrics(Collector):
    """The sums over all workers.

    Args:
        left_out: names of the archives that are left out.

    Attributes:
        are_ready: returns whether each worker is ready.
    """

    def __init__(self, left_out: Sequence[str] = ()) -> None:
        self._left_out = left_out
        self.are_ready: Callable[[], list[bool]] = list
        self._lock = threading.Lock()
        self._values: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))

    def add(self, changes: list[Change]) -> None:
        """Add the changes that a worker sent; gauges are set."""
        with self._lock:
            for name, labels, value in changes:
                of_name = self._values[name]
                of_name[tuple(labels)] = value if name in GAUGES else of_name[tuple(labels)] + value

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's `Collector`."""
        with self._lock:
            values = {name: dict(of_name) for name, of_name in self._values.items()}
        for name, (help_text, labels) in LABELS.items():
            counter = CounterMetricFamily(name, help_text, labels=labels)
            for key, value in values.get(name, {}).items():
                counter.add_metric(list(key), value)
            yield counter
        for name, (help_text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text, labels=labels)
            for key, value in values.get(name, {}).items():
                gauge.add_metric(list(key), value)
            yield gauge
        yield _histogram(values)
        ready = self.are_ready()
        yield GaugeMetricFamily(WORKERS, "Workers.", len(ready))
        absent = GaugeMetricFamily(LEFT_OUT, "Archives that are left out.", labels=["archive"])
        for file in self._left_out:
            absent.add_metric([file], 1)
        yield absent
        yield GaugeMetricFamily(READY, "Workers that have loaded the models.", sum(ready))

    @contextmanager
    def serve(self, host: str, port: int) -> Iterator[int]:
        """Serve `/metrics` while the block runs. Returns the port, which the system picks if `port` is 0.

        Raises:
            ServeError: see `listen_error`.
        """
        registry = CollectorRegistry()
        registry.register(self)
        try:
            server, thread = start_http_server(port, host.strip("[]"), registry)
        except OSError as error:
            raise listen_error({METRICS: (host, port, error)}) from error
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _histogram(values: dict[str, dict[tuple[str, ...], float]]) -> HistogramMetricFamily:
    """The histogram of durations. Workers send cumulative buckets."""
    histogram = HistogramMetricFamily(names.SECONDS, "Duration of a request's batch in the worker.", labels=MODEL)
    buckets = values.get(f"{names.SECONDS}_bucket", {})
    sums = values.get(f"{names.SECONDS}_sum", {})
    for model in dict.fromkeys(key[:2] for key in buckets):
        bounds = [(le, value) for (*of_model, le), value in buckets.items() if tuple(of_model) == model]
        bounds.sort(key=lambda bound: float(bound[0]))
        histogram.add_metric(list(model), bounds, sums.get(model, 0.0))
    return histogram
