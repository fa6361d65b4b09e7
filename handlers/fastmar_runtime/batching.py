"""Dynamic batching: requests that are ready in the same iteration of the event loop are computed together.

There is no batching delay. Requests that arrive while a batch is computed form the next batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context
from typing import TypeVar

from fastmar_runtime.payload import Request, Response
from fastmar_runtime.service import Service

MAX_BATCH = 1024  # records; a request with more is computed alone
MAX_WAITING = 4096  # requests

_T = TypeVar("_T")
Waiting = tuple[Request, "asyncio.Future[Response]"]


class QueueFull(Exception):
    """The maximum number of requests waits for the model."""


class Batcher:
    """Computes the requests of one model in batches. All methods must be called in the event loop.

    Args:
        service: service of the model.
        in_thread: whether batches are computed in a thread, so that a slow model does not block the event loop. Batches
            of a fast model are computed in the event loop, since the switch to a thread would take longer.
        turn: a reusable context manager that is entered for each batch in the thread.
        max_batch: maximum records of a batch.
        max_waiting: maximum number of waiting requests.
    """

    def __init__(
        self,
        service: Service,
        *,
        in_thread: bool,
        turn: AbstractContextManager[None] | None = None,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.in_thread = in_thread
        self._service = service
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[Waiting] = deque()
        self._is_scheduled = False
        self._closed = False
        self._context = Context()  # a batch belongs to no single request
        self._turn = turn or nullcontext()
        self._turn_lock = asyncio.Lock()  # else a call between two steps of a batch would wait for the batch's turn
        self._executor = ThreadPoolExecutor(1, "model") if in_thread else None
        self._task: asyncio.Task[None] | None = None  # asyncio itself keeps only a weak reference to it

    def submit(self, request: Request) -> asyncio.Future[Response]:
        """The future response. A request whose future is cancelled before its batch starts is not computed.

        Raises:
            QueueFull: the maximum number of requests waits.
        """
        if len(self._waiting) >= self._max_waiting:
            raise QueueFull
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()
        self._waiting.append((request, future))
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._compute, loop, context=self._context)
        return future

    async def call(self, function: Callable[[], _T]) -> _T:
        """The result of `function`, which is called where batches are computed, between two of them."""
        if self._executor is None:
            await asyncio.sleep(0)  # other requests go on
            return function()
        async with self._turn_lock:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._call_in_turn, function)

    def _call_in_turn(self, function: Callable[[], _T]) -> _T:
        with self._turn:
            return function()

    def close(self) -> None:
        """End the service and the thread; waiting requests are not answered."""
        self._closed = True
        self._service.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _compute(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._executor is None:
            batch, requests = self._next_batch()
            _deliver(batch, self._service.respond(requests))
            self._schedule_next(loop)
            return
        self._task = loop.create_task(self._compute_in_thread(loop, self._executor), context=self._context)

    async def _compute_in_thread(self, loop: asyncio.AbstractEventLoop, executor: ThreadPoolExecutor) -> None:
        """Wait for the turn, and then take the batch: requests that arrived in the meantime belong to it."""
        with suppress(asyncio.CancelledError):  # closed
            async with self._turn_lock:
                batch, responses = await self._compute_in_turn(loop, executor)
            _deliver(batch, responses)
        self._schedule_next(loop)

    async def _compute_in_turn(
        self, loop: asyncio.AbstractEventLoop, executor: ThreadPoolExecutor
    ) -> tuple[Sequence[Waiting], Sequence[Response]]:
        await loop.run_in_executor(executor, self._turn.__enter__)
        try:
            if self._closed:
                return [], []
            batch, requests = self._next_batch()
            return batch, await loop.run_in_executor(executor, self._service.respond, requests)
        finally:
            self._turn.__exit__(None, None, None)

    def _schedule_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            loop.call_soon(self._compute, loop, context=self._context)

    def _next_batch(self) -> tuple[list[Waiting], list[Request]]:
        """Take the oldest requests, up to the maximum number of records."""
        batch: list[Waiting] = []
        records = 0
        while self._waiting:
            request, future = self._waiting[0]
            if future.done():  # cancelled: the caller has disconnected
                self._waiting.popleft()
                continue
            records += len(request.records)
            if batch and records > self._max_batch:
                break
            batch.append(self._waiting.popleft())
        requests = [request for request, _ in batch]
        records = sum(len(request.records) for request in requests)
        for request in requests:
            request.batch_records = records
        return batch, requests


def _deliver(batch: Sequence[Waiting], responses: Sequence[Response]) -> None:
    for (_, future), response in zip(batch, responses, strict=True):
        if not future.done():
            future.set_result(response)
