"""The connection of an `AsyncClient` to its server."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fastmar_client.async_flows import run_async
from fastmar_client.calls import Calls
from fastmar_client.flows import Flow, Result
from fastmar_client.requester import Headers
from fastmar_client.retries import Retries
from fastmar_client.transport import AsyncTransport, base_url

if TYPE_CHECKING:
    import httpx


class AsyncConnection:
    """The transport of a client, and what all of its requests have in common."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        timeout: float | tuple[float, float] = (3.0, 60.0),
        retries: Retries = Retries(),  # noqa: B008 - frozen
        session: httpx.AsyncClient | None = None,
        transport: AsyncTransport | None = None,
        headers: Headers | Callable[[], Headers] | None = None,
    ) -> None:
        """Create a client. The arguments are those of `Client`; `session` is an `httpx.AsyncClient`."""
        self._calls = Calls(token=token, key_file=key_file, timeout=timeout, retries=retries, headers=headers)
        if transport is None:
            from fastmar_client.async_http import AsyncHttpTransport  # noqa: PLC0415 - imports httpx

            transport = AsyncHttpTransport(base_url(url), session)
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._transport.close()

    async def _run(self, flow: Flow[Result]) -> Result:
        return await run_async(flow, self._transport)
