from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from fastmar_runtime.batching import Batcher, QueueFull
from fastmar_runtime.payload import Request, Response
from tests.coroutines import run


class Recorder:
    """A service that answers each request with its records, and stores the batches."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[Any]] = []
        self.threads: set[str] = set()
        self._seconds = seconds

    def close(self) -> None:
        pass

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        self.batches.append([request.records for request in requests])
        self.threads.add(threading.current_thread().name)
        time.sleep(self._seconds)
        return [Response(200, repr(request.records).encode()) for request in requests]


def batcher(service: Any, *, in_thread: bool = False, **limits: int) -> Batcher:
    return Batcher(service, in_thread=in_thread, **limits)


async def submit(batches: Batcher, *records: int) -> bytes:
    return (await batches.submit(Request(list(records)))).body


@pytest.mark.parametrize("in_thread", [False, True])
def test_each_request_gets_its_own_response(in_thread: bool) -> None:
    service = Recorder()
    loop_threads = set()

    async def requests() -> list[bytes]:
        loop_threads.add(threading.current_thread().name)
        batches = batcher(service, in_thread=in_thread)
        return await asyncio.gather(*(submit(batches, number) for number in range(50)))

    assert run(requests()) == [repr([number]).encode() for number in range(50)]
    assert service.batches[0] == [[number] for number in range(50)], (
        "requests of one iteration of the event loop are one batch"
    )
    assert (service.threads == loop_threads) is not in_thread


def test_single_requests_do_not_wait() -> None:
    service = Recorder()

    async def requests() -> None:
        batches = batcher(service)
        for number in range(3):
            await submit(batches, number)

    run(requests())
    assert service.batches == [[[0]], [[1]], [[2]]]


def test_maximum_number_of_records() -> None:
    service = Recorder()

    async def requests() -> None:
        batches = batcher(service, max_batch=3)
        await asyncio.gather(submit(batches, 1, 2), submit(batches, 3), submit(batches, 4), submit(batches, *range(9)))

    run(requests())
    assert service.batches == [[[1, 2], [3]], [[4]], [list(range(9))]]


def test_maximum_number_of_waiting_requests() -> None:
    async def requests() -> None:
        batches = batcher(Recorder(), max_waiting=2)
        first = [batches.submit(Request([1])), batches.submit(Request([2]))]
        with pytest.raises(QueueFull):
            batches.submit(Request([3]))
        await asyncio.gather(*first)
        assert await submit(batches, 3) == b"[3]"

    run(requests())


def test_cancelled_request_is_not_computed() -> None:
    service = Recorder()

    async def requests() -> None:
        batches = batcher(service)
        cancelled = batches.submit(Request([1]))
        other = batches.submit(Request([2]))
        cancelled.cancel()
        assert (await other).body == b"[2]"

    run(requests())
    assert service.batches == [[[2]]]


def test_requests_gather_during_a_slow_batch_without_blocking_the_event_loop() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(Recorder):
        def respond(self, requests: Sequence[Request]) -> list[Response]:
            begun.set()
            assert goes_on.wait(60)
            return super().respond(requests)

    service = Slow()

    async def requests() -> None:
        batches = batcher(service, in_thread=True)
        first = batches.submit(Request([1]))
        while not begun.is_set():  # the event loop is not blocked
            await asyncio.sleep(0.001)
        later = [batches.submit(Request([number])) for number in (2, 3)]
        assert not first.done()
        goes_on.set()
        await asyncio.gather(first, *later)
        batches.close()

    run(requests())
    assert service.batches == [[[1]], [[2], [3]]]


class OneTurn:
    """A turn that no process can have twice at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __enter__(self) -> None:
        assert self._lock.acquire(blocking=False), "the turn was entered twice"
        self.count += 1

    def __exit__(self, *error: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("in_thread", [False, True])
def test_calls_are_made_between_batches(in_thread: bool) -> None:
    turn = OneTurn()
    service = Recorder(0.002)
    places: list[int] = []

    async def requests() -> None:
        batches = Batcher(service, in_thread=in_thread, turn=turn)

        async def send() -> None:
            for number in range(20):
                await submit(batches, number)

        async def call() -> None:
            for _ in range(20):
                places.append(await batches.call(lambda: len(service.batches)))
                await asyncio.sleep(0.001)

        await asyncio.gather(send(), call(), call())

    run(requests())
    assert len(service.batches) == 20
    assert len(places) == 40
    assert len(set(places)) > 2, "batches went on between the calls"
    assert turn.count == (60 if in_thread else 0)
