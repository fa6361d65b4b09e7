"""Requests that never become complete: waitress closes a connection that is silent, but not one that drips.

The rule is that of Apache's mod_reqtimeout: a request has some seconds, and one more for each so many bytes that came.
"""

from __future__ import annotations

import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from fastmar_web.presentation import megabytes

PATIENCE = 20.0  # seconds that a request may take whatever its size, from its first byte to its last
BYTES_A_SECOND = 1000  # with which a longer one must come, on average


class Refusal(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """The answer to a request that waitress itself refuses; a body that is too large is told the limit."""

    def execute(self) -> None:
        """Write the answer."""
        if isinstance(self.request.error, RequestEntityTooLarge):
            most = self.channel.adj.max_request_body_size
            self.request.error.body = f"At most {megabytes(most)} are taken at once. Fix: send less."
        super().execute()


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that is closed when a request takes too long to come."""

    error_task_class = Refusal
    _began: float | None = None  # when the request that is not complete yet began

    def readable(self) -> bool:
        """Whether more is to be read; asked at least once a second, in the thread that reads."""
        request: Any = self.request
        if request is None or self.requests:  # nothing is half sent, or it is not read while another is answered
            self._began = None
        elif self._began is None:
            self._began = time.monotonic()
        else:
            came = request.header_bytes_received + request.body_bytes_received
            if time.monotonic() - self._began > PATIENCE + came / BYTES_A_SECOND:
                self.will_close = True
        return bool(super().readable())
