"""Server-sent events, in which a server sends the parts of an answer as they are computed."""

from __future__ import annotations

from typing import Any

import orjson

EVENT_STREAM = "text/event-stream"
ANSWER, ERROR = "answer", "error"
"""Names of the events with the whole answer, and with an error. Other parts have no name."""

HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # else nginx collects the parts


def event(data: Any, name: str | None = None) -> bytes:
    """An event with JSON, which has no line breaks."""
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def accepts_events(accept: str | None) -> bool:
    """Whether the header `Accept` names the media type of events."""
    return accept is not None and EVENT_STREAM in accept
