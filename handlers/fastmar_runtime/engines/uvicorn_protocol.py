"""uvicorn's HTTP protocol with limits for the head of a request, and without ASGI between it and the application.

ASGI messages, and uvicorn's checks of them, take a quarter of the CPU time of a request for a small model.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.http.event_response import EventStream
from fastmar_runtime.http.request_bodies import AsgiBody, Disconnected
from fastmar_runtime.payload import Response

log = logging.getLogger(__name__)

# Clients such as Java's ask for HTTP/2 in their first request. The server may ignore that, but httptools then skips the
# request's body, so it must not see the header.
_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Protocol(HttpToolsProtocol):
    """Passes requests to the application, and limits the time and the size of a request's head.

    The time of a head begins with the connection, or with its first byte on a connection that was used before; until
    then uvicorn's `timeout_keep_alive` applies.

    Attributes:
        application: handles the requests.
        seconds: maximum seconds for a head; then the connection is closed.
        size: maximum bytes of a head.
    """

    application: Application
    seconds: float
    size: int
    _timer: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        is_idle = cycle is None or cycle.response_complete
        if is_idle and self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self.transport.close)
            self._head = 0
        if is_idle and (b"pgrade" in data or b"PGRADE" in data):
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"\r\nx-upgrade", head) + end + rest
        super().data_received(data)
        # The rest of a refused request's body is no head.
        if is_idle and self.cycle is cycle and not (cycle is not None and cycle.more_body):
            self._head += len(data)
            if self._head > self.size and not self.transport.is_closing():
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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ARG002 - uvicorn's middleware
        task = self.loop.create_task(self._handle(cycle))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _handle(self, cycle: RequestResponseCycle) -> None:
        try:
            response, headers = await self.application.respond(cycle.scope, _Body(cycle))
            if isinstance(response, EventStream):
                await response.send(headers, cycle.send)  # type: ignore[arg-type]
                return
        except Disconnected:
            return
        except Exception:
            log.exception("a request failed")
            response, headers = Response(500, b""), [("connection", "close")]
        if cycle.flow.write_paused:
            await cycle.flow.drain()
        if not cycle.disconnected:
            self._write(cycle, response, headers)

    def _write(self, cycle: RequestResponseCycle, response: Response, headers: list[tuple[str, str]]) -> None:
        """Write the response at once, and continue as uvicorn does after the last ASGI message."""
        cycle.keep_alive = cycle.keep_alive and ("connection", "close") not in headers
        head = [f"{name}: {value}\r\n" for name, value in headers if name != "connection"]
        if not cycle.keep_alive:
            head.append("connection: close\r\n")
        head.append(f"content-length: {len(response.body)}\r\n\r\n")
        defaults = [part for name, value in cycle.default_headers for part in (name, b": ", value, b"\r\n")]
        parts = [STATUS_LINE[response.status], *defaults, "".join(head).encode("latin-1")]
        if cycle.scope["method"] != "HEAD":
            parts.append(response.body)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


class _Body(AsgiBody):
    """The body of a request, which has often arrived as a whole with the head."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        super().__init__(cycle.receive)  # type: ignore[arg-type]
        self._cycle = cycle

    def arrived(self) -> bytes | None:
        return None if self._cycle.more_body or self._cycle.disconnected else bytes(self._cycle.body)


def protocol(application: Application, seconds: float, size: int) -> type[_Protocol]:
    """The protocol with an application and limits, which uvicorn creates for each connection."""
    attributes = {"application": application, "seconds": seconds, "size": size}
    return type("BoundProtocol", (_Protocol,), attributes)
