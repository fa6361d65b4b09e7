"""Flows and batches in an event loop, for `AsyncClient`; `flows` and `bulk` do the same with threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from fastmar_client.bulk import Batcher
from fastmar_client.errors import ClientError
from fastmar_client.flows import Flow, Pause, Result, Send
from fastmar_client.transport import AsyncTransport, Reply

Item = TypeVar("Item")
Output = TypeVar("Output")


async def run_async(flow: Flow[Result], transport: AsyncTransport) -> Result:
    """Run a flow in the event loop; see `flows.run`."""
    try:
        action = next(flow)
        while True:
            try:
                reply = await _perform(action, transport)
            except ClientError as error:
                action = flow.throw(error)
            else:
                action = flow.send(reply)
    except StopIteration as finished:
        result: Result = finished.value
        return result


async def _perform(action: Send | Pause, transport: AsyncTransport) -> Reply | None:
    if isinstance(action, Pause):
        await asyncio.sleep(action.seconds)
        return None
    return await transport.send(action.method, action.path, action.body, action.headers, action.timeout)


async def iterate(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """The items of a plain or an async iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def batches(
    items: AsyncIterable[Item], size: Callable[[Item], int], max_items: int, max_bytes: int
) -> AsyncIterator[list[Item]]:
    """Group `items` into lists; see `Batcher`."""
    batcher = Batcher(size, max_items, max_bytes)
    async for item in items:
        for batch in batcher.add(item):
            yield batch
    for batch in batcher.flush():
        yield batch


async def map_in_order(
    batches: AsyncIterable[Item], send: Callable[[Item], Awaitable[Output]], *, concurrency: int
) -> AsyncGenerator[Output, None]:
    """The results of `send` for each batch, in the order of the batches.

    At most `concurrency` batches are sent at a time and one more is read, so `batches` is read at most
    `concurrency + 1` batches ahead of the caller. If a call fails or the caller stops, pending calls are cancelled.
    """
    limit = asyncio.Semaphore(concurrency)
    pending: deque[asyncio.Task[Output]] = deque()

    async def job(batch: Item) -> Output:
        async with limit:
            return await send(batch)

    try:
        async for batch in batches:
            pending.append(asyncio.create_task(job(batch)))
            if len(pending) > concurrency:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
