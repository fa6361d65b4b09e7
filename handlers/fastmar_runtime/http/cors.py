"""Cross-origin resource sharing (CORS): which web pages may send requests from a browser."""

from __future__ import annotations

from collections.abc import Sequence

from fastmar_runtime.payload import Response

EXPOSED = "x-request-id"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type, traceparent, x-request-id",
    "access-control-max-age": "3600",
}


class Cors:
    """CORS headers for pages of the given origins; `*` allows all."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origins)

    def headers(self, origin: str) -> dict[str, str]:
        """CORS headers of a response to a page of `origin`; empty if it is not allowed."""
        if not self._any and origin not in self._origins:
            return {}
        allowed = {"access-control-allow-origin": "*" if self._any else origin}
        vary = {} if self._any else {"vary": "origin"}
        return {**allowed, **vary, "access-control-expose-headers": EXPOSED}

    def preflight(self) -> Response:
        """The response to a preflight request, without `headers`."""
        return Response(200, b"", "text/plain", _PREFLIGHT)
