"""A server with scripted responses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Scripted:
    """`reply` returns the response to each request, or None to break the connection. `seen` records the requests."""

    url: str
    reply: Callable[[Seen], Reply | None] = lambda seen: Reply(body={})
    seen: list[Seen] = field(default_factory=list)

    def replies(self, *replies: Reply | None) -> None:
        """Set a sequence of responses; the last one is repeated."""
        rest = list(replies)
        self.reply = lambda seen: rest.pop(0) if len(rest) > 1 else rest[0]


def torchserve(code: int, kind: str, message: str) -> Reply:
    """An error in TorchServe's format."""
    return Reply(code, {"code": code, "type": kind, "message": message})


def echo(seen: Seen) -> Reply:
    """Answer each record with itself."""
    body = json.loads(seen.body)
    return Reply(body=[{"prediction": record} for record in body] if isinstance(body, list) else {"prediction": body})
