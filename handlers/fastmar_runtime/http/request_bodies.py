"""Bodies of requests, independent of the server's interface: ASGI or Granian's RSGI."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from fastmar_runtime.http.asgi_types import Receive
from fastmar_runtime.http.encodings import TooLarge


class Disconnected(Exception):
    """The caller closed the connection before its request was complete."""


class Body(Protocol):
    """The body of a request, independent of the server's interface."""

    def arrived(self) -> bytes | None:
        """The whole body, if it has arrived with the head of the request and nothing was read from it."""

    async def read(self) -> bytes:
        """Read a small body."""

    async def read_chunks(self, limit: int, arrived: Callable[[int], None]) -> bytes:
        """Read a body in parts; `arrived` is called with the size of each. Raises TooLarge over `limit` bytes."""

    async def disconnected(self) -> None:
        """Wait until the caller closes the connection."""


class RsgiBody:
    """The body of a request from Granian."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def arrived(self) -> bytes | None:
        """See `Body`."""
        return None

    async def read(self) -> bytes:
        """See `Body`."""
        content: bytes = await self._protocol()
        return content

    async def read_chunks(self, limit: int, arrived: Callable[[int], None]) -> bytes:
        """See `Body`."""
        content = bytearray()
        async for chunk in self._protocol:
            content += chunk
            arrived(len(chunk))
            if len(content) > limit:
                raise TooLarge
        return bytes(content)

    async def disconnected(self) -> None:
        """See `Body`."""
        await self._protocol.client_disconnect()


class AsgiBody:
    """The body of a request from an ASGI server."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def arrived(self) -> bytes | None:
        """See `Body`."""
        return None

    async def read(self) -> bytes:
        """See `Body`."""
        return await self.read_chunks(sys.maxsize, lambda _: None)

    async def read_chunks(self, limit: int, arrived: Callable[[int], None]) -> bytes:
        """See `Body`."""
        content = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            content += part
            arrived(len(part))
            if len(content) > limit:
                raise TooLarge
            if not message.get("more_body", False):
                return bytes(content)

    async def disconnected(self) -> None:
        """See `Body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
