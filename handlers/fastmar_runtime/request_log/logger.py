"""Logs the requests of a model without delaying their answers."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from os import environ
from pathlib import Path
from typing import Any

from fastmar_contract.request_log import METRICS, LogOptions, read_salt
from fastmar_runtime.metrics import TorchServeMetric, label_value
from fastmar_runtime.observer import Observer
from fastmar_runtime.payload import Request
from fastmar_runtime.preprocess import Columns
from fastmar_runtime.request_log.entries import EntryWriter, Exchange
from fastmar_runtime.request_log.files import LogFiles
from fastmar_runtime.spec import Spec

log = logging.getLogger(__name__)

MAX_WAITING = 64 * 1024 * 1024  # estimated bytes of the exchanges that wait to be written
INTERVAL = 0.1  # seconds between two writes
METRICS_INTERVAL = 1.0  # seconds between two reports of metrics
PAUSE = 16  # lines after which the writer lets other threads run
_WRITE = 64 * 1024  # bytes that are written at once
_SPACE = 1 << 64


def request_log(
    spec: Spec, digest: str | None, options: LogOptions | None, declared: Mapping[str, TorchServeMetric]
) -> RequestLog | None:
    """The observer that logs the requests of a model; None if they are not logged.

    Args:
        spec: the spec of the model.
        digest: the digest of its reference profile; None if it has none.
        options: what to log; None for nothing.
        declared: metrics by name; those that are missing are not reported.
    """
    if options is None:
        return None
    label = f"{spec.name} {spec.version}"
    names = {field.name for field in spec.fields}
    missing = sorted(set(options.hidden.get(spec.name, ())) - names)
    if missing:
        log.warning("%s is not logged: it has no %s, which the request log must hide", label, ", ".join(missing))
        return None
    salt = read_salt(environ)
    if salt is None and names.intersection(options.hash):
        log.warning("%s is not logged: there is no salt for the hashes", label)
        return None
    return RequestLog(spec, digest, options, declared, salt or b"")


class RequestLog(Observer):
    """Logs sampled requests in a thread. If it falls behind, requests are dropped and counted.

    Args: see `request_log`.
        salt: key of the hashes.
    """

    def __init__(
        self,
        spec: Spec,
        digest: str | None,
        options: LogOptions,
        declared: Mapping[str, TorchServeMetric],
        salt: bytes = b"",
    ) -> None:
        self._entries = EntryWriter(spec, digest, options, salt)
        self._fields = {field.name for field in spec.fields}
        self._files = LogFiles(Path(options.folder), (spec.name, spec.version), options.max_bytes)
        self._sample = options.sample
        self._labels = [label_value(spec.name), label_value(spec.version)]
        self._metrics = [declared.get(name) for name in METRICS]
        self._lock = threading.Lock()  # for the three below
        self._waiting: list[Exchange] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._writing = threading.Lock()  # for the rest
        self._counts = [0, 0]  # written and dropped records since the last report
        self._reported = 0.0
        self._is_failing = False
        self._report()  # of 0: Prometheus misses the first increase of a new series
        self._changed = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._write_regularly, name="request log", daemon=True).start()
        atexit.register(self.close)

    def computed(
        self,
        requests: Sequence[Request],
        answers: Sequence[Sequence[dict[str, Any]]],
        groups: Sequence[tuple[Columns, Sequence[int]]],
    ) -> None:
        """See `Observer`."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        measures = self._measures(groups)
        first = 0
        for request, of_request in zip(requests, answers, strict=True):
            request_id = request.ids.request if request.ids is not None else ""
            if self._sample == 1 or is_sampled(request_id, self._sample):
                rows = range(len(of_request)) if measures else ()
                own = {row: measures[first + row] for row in rows if first + row in measures}
                records = request.records if self._entries.reads_records else ()
                self._add(Exchange(moment, request_id, records, of_request, own))
            first += len(of_request)

    def close(self) -> None:
        """See `Observer`. Writes what waits."""
        if not self._closed.is_set():
            self._closed.set()
            self._changed.set()
            self.flush()
            with self._writing:
                self._report()
                self._files.close()
            atexit.unregister(self.close)

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            with self._lock:
                exchanges, self._waiting = self._waiting, []
                dropped, self._dropped = self._dropped, 0
                self._waiting_bytes = 0
            self._counts[1] += dropped
            lines: list[bytes] = []
            size = 0
            for line in self._lines(exchanges):
                lines.append(line)
                size += len(line)
                if size >= _WRITE:
                    self._write(lines)
                    lines, size = [], 0
            self._write(lines)

    def _add(self, exchange: Exchange) -> None:
        size = exchange.size()
        with self._lock:
            if self._waiting_bytes >= MAX_WAITING:
                self._dropped += len(exchange.answers)
            else:
                self._waiting.append(exchange)
                self._waiting_bytes += size
        self._changed.set()

    def _measures(self, groups: Sequence[tuple[Columns, Sequence[int]]]) -> dict[int, dict[str, float]]:
        """The measures of the records that have some, by position in the batch."""
        found: dict[int, dict[str, float]] = {}
        for columns, rows in groups:
            names = [name for name in columns if name not in self._fields]
            if names:
                for place, row in enumerate(rows):
                    found[row] = {name: columns[name][place] for name in names}
        return found

    def _lines(self, exchanges: Sequence[Exchange]) -> Iterator[bytes]:
        """The lines of all exchanges. Between them the thread gives up Python's lock, so that answers go on."""
        number = 0
        for exchange in exchanges:
            lines = self._entries.lines(exchange)
            for row in range(len(exchange.answers)):
                number += 1
                if number % PAUSE == 0:
                    time.sleep(0)
                try:
                    yield next(lines)
                except (ValueError, RecursionError):
                    self._counts[1] += len(exchange.answers) - row
                    break

    def _write(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        try:
            self._files.write(b"".join(lines))
        except OSError as error:
            self._counts[1] += len(lines)
            if not self._is_failing:  # else it could fill the log
                log.warning("the request log of %s can't be written: %s", " ".join(self._labels), error)
            self._is_failing = True
        else:
            self._counts[0] += len(lines)
            self._is_failing = False

    def _write_regularly(self) -> None:
        while self._changed.wait() and not self._closed.wait(INTERVAL):
            self._changed.clear()
            self.flush()
            if any(self._counts):
                if time.monotonic() - self._reported >= METRICS_INTERVAL:
                    with self._writing:
                        self._report()
                else:
                    self._changed.set()

    def _report(self) -> None:
        for metric, value in zip(self._metrics, self._counts, strict=True):
            if metric is not None:
                metric.add_or_update(value, self._labels)
        self._counts = [0, 0]
        self._reported = time.monotonic()


def is_sampled(request_id: str, share: float) -> bool:
    """Whether to log a request; a repeated request with the same id is treated alike on all workers."""
    digest = sha256(request_id.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) < share * _SPACE
