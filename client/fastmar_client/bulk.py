"""Many records: in batches, several at a time, in order, and never far ahead of whoever takes the answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from fastmar_client.steps import Steps

Given = TypeVar("Given")
Made = TypeVar("Made")


class Batcher(Generic[Given]):
    """Collects items into lists of at most `most` items and `most_bytes` bytes; a larger item is alone in its list."""

    def __init__(self, size: Callable[[Given], int], most: int, most_bytes: int) -> None:
        self._size = size
        self._most = most
        self._most_bytes = most_bytes
        self._items: list[Given] = []
        self._bytes = 0

    def add(self, item: Given) -> Iterator[list[Given]]:
        """Add an item; yields each list that is complete."""
        size = self._size(item)
        if self._bytes + size > self._most_bytes:
            yield from self.rest()
        self._items.append(item)
        self._bytes += size
        if len(self._items) == self._most:
            yield from self.rest()

    def rest(self) -> Iterator[list[Given]]:
        """What was collected since the last complete list, if anything was."""
        if self._items:
            complete, self._items, self._bytes = self._items, [], 0
            yield complete


def batches(items: Iterable[Given], size: Callable[[Given], int], most: int, most_bytes: int) -> Iterator[list[Given]]:
    """`items` in lists; see `Batcher`."""
    batcher = Batcher(size, most, most_bytes)
    for item in items:
        yield from batcher.add(item)
    yield from batcher.rest()


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


def halved(
    batch: list[Given], ask: Callable[[list[Given]], Steps[Sequence[Any]]], refused: type[Exception]
) -> Steps[Sequence[Any]]:
    """The answers to `batch`; where it is refused as a whole, to its halves, down to the records that are at fault.

    An error that is raised for a single record takes the place of its answer.
    """
    try:
        return (yield from ask(batch))
    except refused as refusal:
        if len(batch) == 1:
            return [refusal]
        middle = len(batch) // 2
        first = yield from halved(batch[:middle], ask, refused)
        second = yield from halved(batch[middle:], ask, refused)
        return [*first, *second]
