"""`AsyncClient` with blocking methods, so that the tests of `Client` can run with both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

from fastmar_client import AsyncClient, Client
from fastmar_client.testing import _AsyncFake

Connect = Callable[..., Client]  # or a class with the same methods


def connected(connect: Connect, transport: Any) -> Client:
    """A client of the transport."""
    return connect(transport=transport if connect is Client else _AsyncFake(transport))


class BlockingClient:
    """An `AsyncClient` with its event loop in another thread. Safe to use from several threads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._client = AsyncClient(*arguments, **options)
        self._calls = self._client._calls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._wait(method(*arguments, **options))

    def predict_many(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        return self._iterate(self._client.predict_many(*arguments, **options))

    def stream(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        return self._iterate(self._client.stream(*arguments, **options))

    def _iterate(self, answers: Any) -> Iterator[Any]:
        try:
            while True:
                yield self._wait(anext(answers))
        except StopAsyncIteration:
            pass
        finally:
            self._wait(answers.aclose())

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_await(coroutine), self._loop).result()


async def _await(awaitable: Any) -> Any:
    return await awaitable
