"""W3C Trace Context: the trace that a request belongs to.

Format: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

_VERSION = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_ZERO_TRACE, _ZERO_PARENT = "0" * 32, "0" * 16


def trace_id(traceparent: str) -> str | None:
    """The trace id of the header `traceparent`; None if it is invalid. Later versions may append fields."""
    found = _VERSION.fullmatch(traceparent)
    if found is None:
        return None
    version, trace, parent, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace == _ZERO_TRACE or parent == _ZERO_PARENT:
        return None
    return trace
