"""Many records: in batches, several at a time, in order, and never far ahead of whoever takes the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Send = Callable[[list[Any]], list[Any]]


def answers_in_order(
    records: Iterable[Any],
    send: Send,
    *,
    batch_size: int,
    batch_bytes: int,
    concurrency: int,
    on_progress: Callable[[int], None] | None,
) -> Iterator[Any]:
    """One answer for each record, in the records' order.

    A batch has at most `batch_size` records, whose `size` (0 for those that have none) adds up to at most
    `batch_bytes`; a record that is larger than that goes alone.

    At most `concurrency` batches are under way, and one more waits for its turn: so the iterable is never read
    more than `batch_size * (concurrency + 1)` records ahead of the answers that were taken.
    """
    done = 0
    with ThreadPoolExecutor(concurrency, thread_name_prefix="fastmar-client") as pool:
        under_way: deque[Future[list[Any]]] = deque()
        try:
            for batch in _batches(records, batch_size, batch_bytes):
                under_way.append(pool.submit(send, batch))
                if len(under_way) > concurrency:
                    done = yield from _take(under_way.popleft(), done, on_progress)
            while under_way:
                done = yield from _take(under_way.popleft(), done, on_progress)
        finally:  # an error, or a caller that stops taking answers
            for future in under_way:
                future.cancel()


def _batches(records: Iterable[Any], most: int, most_bytes: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    total = 0
    for record in records:
        size = getattr(record, "size", 0)
        if batch and total + size > most_bytes:
            yield batch
            batch, total = [], 0
        batch.append(record)
        total += size
        if len(batch) == most:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _take(future: Future[list[Any]], done: int, on_progress: Callable[[int], None] | None) -> Generator[Any, None, int]:
    answers = future.result()
    yield from answers
    done += len(answers)
    if on_progress is not None:
        on_progress(done)
    return done
