"""Senders carry one request to a server and its reply back: `http.py`, `async_http.py`, or the fake of `testing.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastmar_client.errors import ClientError, ServerUnreachable, Timeout

CONNECTIONS = 64  # kept open to one server; more than `predict_many` is likely to be given


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


class AsyncSender(Protocol):
    """Sends a request once, for `AsyncClient`."""

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Sender.send`."""
        ...

    async def close(self) -> None:
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


def not_sendable(url: str, error: Exception) -> ClientError:
    """The error for a request that HTTP does not allow, such as one to a malformed address."""
    return ClientError(f"the request to {url} can't be sent: {error}.", fix="check the address.")


def cause_of(error: BaseException) -> str:
    """The operating system's message; HTTP libraries wrap its errors several times."""
    found = error
    while True:
        if isinstance(found, OSError) and found.strerror:
            of_asyncio = found.strerror.startswith("Connect call failed")  # in place of the system's message
            return os.strerror(found.errno) if of_asyncio and found.errno else found.strerror
        group = found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        held = [getattr(found, "reason", None), *found.args, *group, found.__cause__]
        inner = next((each for each in held if isinstance(each, BaseException)), None)
        if inner is None:
            return str(found).rstrip(".") or type(found).__name__
        found = inner
