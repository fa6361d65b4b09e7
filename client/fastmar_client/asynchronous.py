"""What `AsyncClient` does in the event loop and `Client` does with threads: run calls, several at a time, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from fastmar_client.bulk import Batcher
from fastmar_client.errors import ClientError
from fastmar_client.sender import AsyncSender, Reply
from fastmar_client.steps import Pause, Result, Send, Steps

Given = TypeVar("Given")
Made = TypeVar("Made")


async def run_async(steps: Steps[Result], sender: AsyncSender) -> Result:
    """Run a call in the event loop; see `steps.run`."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await _do(step, sender)
            except ClientError as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as finished:
        result: Result = finished.value
        return result


async def _do(step: Send | Pause, sender: AsyncSender) -> Reply | None:
    if isinstance(step, Pause):
        await asyncio.sleep(step.seconds)
        return None
    return await sender.send(step.method, step.path, step.body, step.headers, step.timeout)


async def each_of(items: Iterable[Given] | AsyncIterable[Given]) -> AsyncIterator[Given]:
    """The items of an iterable of either kind."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def batches(
    items: AsyncIterable[Given], size: Callable[[Given], int], most: int, most_bytes: int
) -> AsyncIterator[list[Given]]:
    """`items` in lists; see `Batcher`."""
    batcher = Batcher(size, most, most_bytes)
    async for item in items:
        for batch in batcher.add(item):
            yield batch
    for batch in batcher.rest():
        yield batch


async def in_order(
    batches: AsyncIterable[Given], send: Callable[[Given], Awaitable[Made]], *, concurrency: int
) -> AsyncGenerator[Made, None]:
    """What `send` makes of each batch, in the batches' order.

    At most `concurrency` are sent at a time, and one more waits for its turn: the iterable is never read more than
    `concurrency + 1` batches ahead of those that were taken. An error ends it, and so does a caller that stops taking;
    what is under way then is cancelled.
    """
    turn = asyncio.Semaphore(concurrency)
    under_way: deque[asyncio.Task[Made]] = deque()

    async def job(batch: Given) -> Made:
        async with turn:
            return await send(batch)

    try:
        async for batch in batches:
            under_way.append(asyncio.create_task(job(batch)))
            if len(under_way) > concurrency:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
