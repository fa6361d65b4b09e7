"""Many records: in batches, several at a time, in order, and never far ahead of whoever takes the answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def batches(items: Iterable[Given], size: Callable[[Given], int], most: int, most_bytes: int) -> Iterator[list[Given]]:
    """Lists of at most `most` items whose sizes add up to at most `most_bytes`; a larger item goes alone."""
    batch: list[Given] = []
    total = 0
    for item in items:
        bytes_more = size(item)
        if batch and total + bytes_more > most_bytes:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += bytes_more
        if len(batch) == most:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def in_order(
    batches: Iterable[Given], send: Callable[[Given], Made], *, concurrency: int
) -> Generator[tuple[Given, Made], None, None]:
    """Each batch with what `send` makes of it, in the batches' order.

    At most `concurrency` are under way, and one more waits for its turn: so the iterable is never read more than
    `concurrency + 1` batches ahead of those that were taken. An error ends it, and so does a caller that stops taking:
    what is under way then is left alone, and nobody waits for it.
    """
    waiting: SimpleQueue[_Job[Given, Made] | None] = SimpleQueue()
    under_way: deque[_Job[Given, Made]] = deque()
    threads = 0
    try:
        for batch in batches:
            job = _Job(batch, send)
            under_way.append(job)
            waiting.put(job)
            if threads < concurrency:
                # A daemon: a server that hangs must not keep a program from ending.
                threading.Thread(target=_work, args=(waiting,), name="fastmar-client", daemon=True).start()
                threads += 1
            if len(under_way) > concurrency:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for job in under_way:
            job.future.cancel()
        for _ in range(threads):
            waiting.put(None)


class _Job(Generic[Given, Made]):
    """A batch, and what becomes of it."""

    def __init__(self, batch: Given, send: Callable[[Given], Made]) -> None:
        self.batch = batch
        self.future: Future[Made] = Future()
        self._send = send

    def result(self) -> tuple[Given, Made]:
        return self.batch, self.future.result()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            made = self._send(self.batch)
        except BaseException as error:  # whoever takes the result gets it
            self.future.set_exception(error)
        else:
            self.future.set_result(made)


def _work(waiting: SimpleQueue[_Job[Any, Any] | None]) -> None:
    while (job := waiting.get()) is not None:
        job.run()


def halved(batch: list[Given], ask: Callable[[list[Given]], Sequence[Any]], refused: type[Exception]) -> Sequence[Any]:
    """The answers to `batch`; where it is refused as a whole, to its halves, down to the records that are at fault.

    An error that is raised for a single record takes the place of its answer.
    """
    try:
        return ask(batch)
    except refused as refusal:
        if len(batch) == 1:
            return [refusal]
        middle = len(batch) // 2
        return [*halved(batch[:middle], ask, refused), *halved(batch[middle:], ask, refused)]
