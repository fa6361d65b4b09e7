"""The types of ASGI 3, and the headers of requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Headers(Protocol):
    """Request headers, by name in lower case."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header."""
        ...


def encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers of a response, as ASGI sends them."""
    return [(name.encode(), value.encode("latin-1")) for name, value in headers]
