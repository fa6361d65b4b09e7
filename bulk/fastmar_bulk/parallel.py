"""Runs jobs on threads, in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def map_in_order(
    function: Callable[[_Job], _Result], jobs: Generator[_Job, None, None], workers: int
) -> Iterator[tuple[_Job, _Result]]:
    """Each job with its result, in their order; at most `workers` + 1 of them are in memory."""
    pending: deque[tuple[_Job, Future[_Result]]] = deque()
    with closing(jobs), ThreadPoolExecutor(workers, "fastmar-score") as pool:
        try:
            for job in jobs:
                pending.append((job, pool.submit(function, job)))
                if len(pending) > workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
