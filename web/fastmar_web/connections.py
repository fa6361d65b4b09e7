"""A limit on the time in which a request must arrive, which waitress lacks.

waitress closes silent connections, but not those that drip bytes. The time limit follows Apache's mod_reqtimeout: a
fixed time for each request, and more in proportion to the bytes received.
"""

from __future__ import annotations

import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from fastmar_web.presentation import format_size

REQUEST_SECONDS = 20.0  # for a request of any size, from its first byte to its last
MIN_BYTES_PER_SECOND = 1000  # average rate at which a longer request must arrive


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
