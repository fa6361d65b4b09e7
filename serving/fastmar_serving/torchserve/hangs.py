"""Find workers that hang: requests wait for them, and they use no processor time.

A worker hangs if requests for its model have waited for `after` seconds and the worker's process has used no processor
time for as long, for example because of a deadlock. The duration of a batch is no criterion, since long batches are
valid. TorchServe itself ends a worker that computes forever, after the model's responseTimeout.

With several workers of a model, it is unknown which of them has the request. Then all idle ones are replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastmar_serving.idle_times import IdleTimes
from fastmar_serving.torchserve.control import PendingRequests

MIN_WAIT = 1.0  # minimum age in seconds of a pending request, if earlier requests were cancelled by their callers


@dataclass(frozen=True)
class Worker:
    """A worker that is ready."""

    model: str
    version: str
    is_default: bool
    pid: int


class Hangs:
    """Finds workers that hang. `find` must be called about once a second."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._idle_times = IdleTimes()

    def find(self, workers: Iterable[Worker], pending: Mapping[str, PendingRequests]) -> list[Worker]:
        """The workers that hang now. `pending` are the requests by NAME or NAME/VERSION."""
        workers = list(workers)
        idle = self._idle_times.update([worker.pid for worker in workers])
        if not self._after:
            return []
        return [w for w in workers if idle[w.pid] >= self._after and self._has_waiting_requests(w, pending)]

    def _has_waiting_requests(self, worker: Worker, pending: Mapping[str, PendingRequests]) -> bool:
        targets = [f"{worker.model}/{worker.version}"] + [worker.model] * worker.is_default
        # If callers cancel and retry, no request gets old, but none is answered either.
        return any(
            pending[target].oldest >= self._after
            or (pending[target].oldest >= MIN_WAIT and pending[target].unanswered >= self._after)
            for target in targets
            if target in pending
        )
