"""Batches of records: several requests at a time, results in order, and bounded read-ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from fastmar_client.flows import Flow

Item = TypeVar("Item")
Output = TypeVar("Output")


def check_sizes(batch_size: int, concurrency: int) -> None:
    """Raise a ValueError if a batch would be empty, or no request could be sent."""
    if batch_size < 1 or concurrency < 1:
        raise ValueError("batch_size and concurrency must be 1 or more")


class Batcher(Generic[Item]):
    """Groups items into lists of at most `max_items` items and `max_bytes` bytes; a larger item gets its own list."""

    def __init__(self, size: Callable[[Item], int], max_items: int, max_bytes: int) -> None:
        self._size = size
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: list[Item] = []
        self._bytes = 0

    def add(self, item: Item) -> Iterator[list[Item]]:
        """Add an item; yields each completed list."""
        size = self._size(item)
        if self._bytes + size > self._max_bytes:
            yield from self.flush()
        self._items.append(item)
        self._bytes += size
        if len(self._items) == self._max_items:
            yield from self.flush()

    def flush(self) -> Iterator[list[Item]]:
        """The remaining items, if there are any."""
        if self._items:
            complete, self._items, self._bytes = self._items, [], 0
            yield complete


def batches(items: Iterable[Item], size: Callable[[Item], int], max_items: int, max_bytes: int) -> Iterator[list[Item]]:
    """Group `items` into lists; see `Batcher`."""
    batcher = Batcher(size, max_items, max_bytes)
    for item in items:
        yield from batcher.add(item)
    yield from batcher.flush()


def map_in_order(
    batches: Iterable[Item], send: Callable[[Item], Output], *, concurrency: int
) -> Generator[tuple[Item, Output], None, None]:
    """Each batch with the result of `send`, in the order of the batches.

    At most `concurrency` batches are sent at a time and one more is read, so `batches` is read at most
    `concurrency + 1` batches ahead of the caller. If a call fails or the caller stops, pending calls finish in their
    daemon threads, and nothing waits for them.
    """
    jobs: SimpleQueue[_Job[Item, Output] | None] = SimpleQueue()
    pending: deque[_Job[Item, Output]] = deque()
    threads = 0
    try:
        for batch in batches:
            job = _Job(batch, send)
            pending.append(job)
            jobs.put(job)
            if threads < concurrency:
                # Daemon threads: a server that hangs must not keep the process from exiting.
                threading.Thread(target=_run_jobs, args=(jobs,), name="fastmar-client", daemon=True).start()
                threads += 1
            if len(pending) > concurrency:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for job in pending:
            job.future.cancel()
        for _ in range(threads):
            jobs.put(None)


class _Job(Generic[Item, Output]):
    """A batch with the future of its result."""

    def __init__(self, batch: Item, send: Callable[[Item], Output]) -> None:
        self.batch = batch
        self.future: Future[Output] = Future()
        self._send = send

    def result(self) -> tuple[Item, Output]:
        return self.batch, self.future.result()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._send(self.batch)
        except BaseException as error:  # raised again by `result`
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


def _run_jobs(jobs: SimpleQueue[_Job[Any, Any] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()


def answer_or_bisect(
    batch: list[Item], send: Callable[[list[Item]], Flow[Sequence[Any]]], refusal_class: type[Exception]
) -> Flow[Sequence[Any]]:
    """The answers to `batch`. A batch that is refused as a whole is bisected down to the faulty records.

    The error of a single record takes the place of its answer.
    """
    try:
        return (yield from send(batch))
    except refusal_class as refusal:
        if len(batch) == 1:
            return [refusal]
        middle = len(batch) // 2
        first = yield from answer_or_bisect(batch[:middle], send, refusal_class)
        second = yield from answer_or_bisect(batch[middle:], send, refusal_class)
        return [*first, *second]
