"""Identifies requests by their headers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fastmar_runtime.http.asgi_types import Headers
from fastmar_runtime.http.trace_context import TRACEPARENT, trace_id
from fastmar_runtime.logs import RequestIds
from fastmar_runtime.tracing import trace_id_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MAX_ID_LENGTH = 128  # characters


def request_ids(headers: Headers, span: Span | None) -> RequestIds:
    """The identifiers of a request: the caller's if they are valid. Otherwise the request has the id of its trace."""
    if span is not None:
        trace: str | None = trace_id_of(span)
    else:
        trace = trace_id(headers.get(TRACEPARENT, ""))
    given = headers.get("x-request-id")
    if given and len(given) <= MAX_ID_LENGTH and given.isascii() and given.isprintable() and " " not in given:
        return RequestIds(given, trace)
    return RequestIds(trace or f"{random.getrandbits(128):032x}", trace)
