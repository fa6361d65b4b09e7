"""What carries one request to a server and its answer back: over HTTP (`http.py`), or to a fake (`testing.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastmar_client.errors import ServerUnreachable, Timeout


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer to one request, whatever its status.

    Attributes:
        status: of HTTP.
        content: the body.
        headers: at least Content-Type, Retry-After and X-Request-ID, where the server sent them.
        reason: the words behind the status.
    """

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def header(reply: Reply, name: str) -> str | None:
    """A header of an answer, however its name is spelled."""
    return next((value for key, value in reply.headers.items() if key.lower() == name.lower()), None)


class Sender(Protocol):
    """Sends a request once. Safe to use from several threads."""

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """The server's answer; `timeout` is seconds for the connection, and seconds without data.

        Raises:
            ClientError: there was no answer: `ServerUnreachable`, or `Timeout`.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


def unreachable(url: str, cause: str) -> ServerUnreachable:
    """The error for a server that is not there, or whose connection broke."""
    return ServerUnreachable(
        f"no answer from {url}: {cause}.",
        fix="check the address, and that the server runs and is ready (`wait_until_ready`).",
    )


def timed_out(url: str, seconds: float) -> Timeout:
    """The error for a server that is there and does not answer."""
    return Timeout(
        f"{url} did not answer within {seconds:g} s.",
        fix="give a longer timeout=(connect, read), send fewer records at once, or look at the server's load.",
    )
