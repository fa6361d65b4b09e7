"""Limits on connections that waitress lacks: time for a request to arrive, and connections of one client.

waitress closes silent connections, but not those that drip bytes. The time limit follows Apache's mod_reqtimeout: a
fixed time for each request, and more in proportion to the bytes received.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from fastmar_web.limits import client_network
from fastmar_web.presentation import format_size

REQUEST_SECONDS = 20.0  # that every request may take, from its first byte to its last
MIN_BYTES_PER_SECOND = 1000  # bytes for which a request gets one second more
CONNECTIONS_PER_CLIENT = 200  # open at the same time, of one client network


class ErrorResponse(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """The response to a request that waitress itself refuses. For a body that is too large it names the limit."""

    def execute(self) -> None:
        """Write the response."""
        if isinstance(self.request.error, RequestEntityTooLarge):
            limit = self.channel.adj.max_request_body_size
            self.request.error.body = f"The request is too large; the limit is {format_size(limit)}. Fix: send less."
        super().execute()


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that is closed when a request takes too long to arrive."""

    error_task_class = ErrorResponse
    _request_start: float | None = None  # when the first byte of the incomplete request arrived

    def __init__(self, server: Any, connection: Any, address: Any, adjustments: Any, map: dict[int, Any]) -> None:
        super().__init__(server, connection, address, adjustments, map=map)
        self.client = client_network(str(address[0]))

    def readable(self) -> bool:
        """Whether to read more. waitress calls this at least once a second, in the thread that reads."""
        request: Any = self.request
        if request is None or self.requests:  # no incomplete request, or reading pauses while another is answered
            self._request_start = None
        elif self._request_start is None:
            self._request_start = time.monotonic()
        else:
            received = request.header_bytes_received + request.body_bytes_received
            if time.monotonic() - self._request_start > REQUEST_SECONDS + received / MIN_BYTES_PER_SECOND:
                self.will_close = True
        return bool(super().readable())


def channel_opener(trusted_proxy: str) -> Callable[..., None]:
    """The function that waitress calls with each new connection, in place of a channel class.

    It closes a connection over its client's limit at once. Connections of `trusted_proxy` belong to many clients, so
    they are not limited; the proxy can limit them.
    """

    def open_channel(server: Any, connection: Any, address: Any, adjustments: Any, map: dict[int, Any]) -> None:
        host = str(address[0])
        if trusted_proxy not in ("*", host):
            client = client_network(host)
            channels = [each for each in map.values() if isinstance(each, Channel)]
            if sum(each.client == client for each in channels) >= CONNECTIONS_PER_CLIENT:
                connection.close()
                return
        Channel(server, connection, address, adjustments, map=map)

    return open_channel
