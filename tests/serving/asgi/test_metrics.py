"""The metrics that the launcher adds to those of the workers."""

from __future__ import annotations

from fastmar_serving.asgi.metrics import READY, WORKERS, Metrics


def gauges(metrics: Metrics) -> dict[str, float]:
    return {family.name: family.samples[0].value for family in metrics.collect() if family.name in (WORKERS, READY)}


def test_workers_that_are_not_ready_are_counted() -> None:
    metrics = Metrics()
    assert gauges(metrics) == {WORKERS: 0, READY: 0}
    metrics.are_ready = lambda: [True, False, True]
    assert gauges(metrics) == {WORKERS: 3, READY: 2}
