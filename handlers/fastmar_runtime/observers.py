"""The observers of a worker, which are the same on each engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fastmar_contract.profiles import COUNTS, ROWS, SHARES
from fastmar_contract.request_log import METRICS as LOG_METRICS
from fastmar_contract.request_log import LogOptions
from fastmar_runtime.metrics import METRICS, Metrics, TorchServeMetric
from fastmar_runtime.observer import Observer
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.reporting import Reporter, reference_of
from fastmar_runtime.request_log.logger import request_log

REPORTED = (*METRICS, ROWS, COUNTS, SHARES, *LOG_METRICS)  # names of the metrics


def worker_observers(
    predictor: Predictor,
    model: tuple[str, str],
    declared: Mapping[str, TorchServeMetric],
    worker: str,
    *,
    profiles: Path | None,
    period: float,
    log: LogOptions | None,
    on_killed: Callable[[str], None],
) -> list[Observer]:
    """The observers of a model: metrics, and the profile and the request log as far as there are any.

    Args:
        predictor: the predictor of the model.
        model: its name and version.
        declared: metrics by name, of `REPORTED`; those that are missing are not reported.
        worker: identifies the worker on its server.
        profiles: folder of the files with profiles; None writes none.
        period: seconds between two reports of a profile.
        log: what to log of requests; None for nothing.
        on_killed: see `Reporter`.

    Raises:
        BundleUnreadable: the profile of the archive is invalid.
    """
    found: list[Observer] = [Metrics(declared, model, worker)]
    if (reference := reference_of(predictor, profiles)) is not None:
        found.append(Reporter(reference, model, declared, worker, profiles, period, on_killed))
    digest = None if reference is None else reference.digest
    if (requests := request_log(predictor.spec, digest, log, declared)) is not None:
        found.append(requests)
    return found
