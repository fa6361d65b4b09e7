"""Limits for the head of a request, which uvicorn itself does not have."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def limited(seconds: float, size: int) -> type[HttpToolsProtocol]:
    """A protocol that closes a connection whose next head does not arrive in `seconds`, or has over `size` bytes.

    The time of a head begins with the connection, or with its first byte on a connection that was used before; until
    then uvicorn's `timeout_keep_alive` applies.
    """

    class Limited(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._timer = self.loop.call_later(seconds, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            cycle = self.cycle
            is_idle = cycle is None or cycle.response_complete
            if is_idle and self._timer is None:
                self._timer = self.loop.call_later(seconds, self.transport.close)
                self._head = 0
            super().data_received(data)
            # The rest of a refused request's body is no head.
            if is_idle and self.cycle is cycle and not (cycle is not None and cycle.more_body):
                self._head += len(data)
                if self._head > size and not self.transport.is_closing():
                    self.transport.write(TOO_LARGE)
                    self.transport.close()

        def on_headers_complete(self) -> None:
            self._stop_timer()
            self._head = 0
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self.cycle.more_body = False  # uvicorn leaves it after an early response

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Limited
