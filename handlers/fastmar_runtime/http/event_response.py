"""A response whose body is a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from fastmar_runtime.http.asgi_types import Send, encoded
from fastmar_runtime.http.event_stream import EVENT_STREAM, HEADERS
from fastmar_runtime.payload import Response


class EventStream(Response):
    """A response with server-sent events; its body is empty. The events are read in an `async with` block.

    Args:
        parts: the events.
        on_end: a function that is called after the last part, or when the caller has disconnected.
    """

    def __init__(self, parts: AsyncGenerator[bytes, None], on_end: Callable[[], None]) -> None:
        super().__init__(200, b"", EVENT_STREAM, HEADERS)
        self._parts = parts
        self._on_end = on_end

    async def __aenter__(self) -> AsyncIterator[bytes]:
        """Start the stream."""
        return self._parts

    async def __aexit__(self, *error: object) -> None:
        """End it."""
        self._on_end()
        await self._parts.aclose()

    async def send(self, headers: list[tuple[str, str]], send: Send) -> None:
        """Send it by ASGI."""
        async with self as parts:
            await send({"type": "http.response.start", "status": self.status, "headers": encoded(headers)})
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
