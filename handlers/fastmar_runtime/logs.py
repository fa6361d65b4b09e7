"""Log lines as text, or as JSON objects with the identifiers of the request that they are about."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import NamedTuple

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)


FIELDS = "fields"  # attribute of a log record: further members of its JSON object
ACCESS = logging.getLogger("fastmar.access")


class RequestIds(NamedTuple):
    """Identifiers of a request.

    Attributes:
        request: the `X-Request-ID` of its response.
        trace: trace id of its `traceparent` or of its span; None if it belongs to no trace.
    """

    request: str
    trace: str | None = None


CURRENT: ContextVar[RequestIds | None] = ContextVar("CURRENT", default=None)
"""The request that this task handles."""


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (ids := CURRENT.get()) is not None:
            line["request_id"] = ids.request
            if ids.trace is not None:
                line["trace_id"] = ids.trace
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(log_format: str, *, access_log: bool = False) -> None:
    """Log on standard error, in one of `FORMATS`: warnings of all loggers; with `access_log`, also each request."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == JSON else logging.Formatter("fastmar: %(message)s"))
    logging.basicConfig(handlers=[handler])
    if access_log:
        ACCESS.setLevel(logging.INFO)


def log_access(method: str, path: str, status: int | None, milliseconds: float) -> None:
    """Log the current request, without its query and body, which may have personal data.

    Args:
        method: its method.
        path: its path, decoded. Line breaks and other control characters are escaped.
        status: status of the response; None if the caller left before.
        milliseconds: time until the response.
    """
    text = path.encode("unicode_escape").decode()
    ids = CURRENT.get()
    access = {"method": method, "path": text, "status": status, "milliseconds": round(milliseconds, 1)}
    request_id = ids.request if ids is not None else "-"
    line = "%s %s %s %.1f ms request_id=%s"
    ACCESS.info(line, method, text, status or "left", milliseconds, request_id, extra={FIELDS: access})


@contextmanager
def about(ids: RequestIds | None) -> Iterator[None]:
    """Lines that are logged while the block runs are about this request."""
    token = CURRENT.set(ids)
    try:
        yield
    finally:
        CURRENT.reset(token)
