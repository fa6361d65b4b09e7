"""A transport sends one request and returns the response: `http.py`, `async_http.py`, or the fake of `testing.py`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Protocol

from fastmar_client.errors import ClientError, ServerUnreachable, Timeout
from fastmar_contract.display import short_repr
from fastmar_contract.urls import http_url

_MODEL_PATH = re.compile(r"/predictions(/.*)?$")
EVENT_STREAM = "text/event-stream"  # in Accept: the response may have events
CONNECTIONS = 64  # in the pool of one server; more than the usual concurrency of `predict_many`


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response of any status.

    Attributes:
        status: the HTTP status code.
        content: the body.
        headers: all headers, or at least Content-Type, Retry-After and X-Request-ID.
        reason: the reason phrase.
        chunks: the body as it arrives, instead of `content`, if it has the events that the request accepts. Its end, or
            a call of `close` or `aclose`, ends the use of the connection. It raises `ServerUnreachable` or `Timeout`.
    """

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    chunks: Generator[bytes, None, None] | AsyncGenerator[bytes, None] | None = None


def header(reply: Reply, name: str) -> str | None:
    """A header of a response; the name is case-insensitive."""
    return next((value for key, value in reply.headers.items() if key.lower() == name.lower()), None)


def accepts_events(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers may be answered with events."""
    return EVENT_STREAM in headers.get("Accept", "")


def has_events(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the body of a response is events."""
    return status < 400 and headers.get("Content-Type", "").startswith(EVENT_STREAM)


class Transport(Protocol):
    """Sends a request once, without retries. Safe to use from several threads."""

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """Send a request; `timeout` is (connect, read) in seconds.

        Raises:
            ClientError: there is no response: `ServerUnreachable` or `Timeout`.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class AsyncTransport(Protocol):
    """Sends a request once, without retries, for `AsyncClient`."""

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Transport.send`."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def timeouts(timeout: object) -> tuple[float, float]:
    """(connect, read) in seconds, from one number for both or a pair.

    Raises:
        TypeError: it is neither a number nor a pair of numbers.
        ValueError: a number is not positive, or is infinite or NaN.
    """
    pair = tuple(timeout) if isinstance(timeout, tuple | list) else (timeout, timeout)
    fix = "Fix: pass seconds: one number such as 10, or a pair (connect, read) such as (3, 60)."
    if len(pair) != 2 or not all(isinstance(each, Real) and not isinstance(each, bool) for each in pair):
        raise TypeError(f"timeout is {short_repr(timeout)}. {fix}")
    connect, read = map(float, pair)
    if not all(math.isfinite(each) and each > 0 for each in (connect, read)):
        raise ValueError(f"timeout is {short_repr(timeout)}; it must be positive and finite. {fix}")
    return connect, read


def base_url(url: str) -> str:
    """The address of a server, from its own or that of one of its models; without a scheme it is http."""
    return _MODEL_PATH.sub("", http_url(url)).rstrip("/")


def ca_bundle() -> str | None:
    """File of the certification authorities to trust, named as for requests or OpenSSL; None for the usual ones."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None


def unreachable(url: str, cause: str) -> ServerUnreachable:
    """The error for a failed or broken connection."""
    return ServerUnreachable(
        f"no answer from {url}: {cause}.",
        fix="check the address; start the server (`fastmar serve`), or wait until it is ready.",
    )


def timed_out(url: str, seconds: float) -> Timeout:
    """The error for a read timeout."""
    return Timeout(
        f"{url} did not answer within {seconds:g} s.",
        fix="set a longer timeout=(connect, read), send fewer records at once, or check the server's load.",
    )


def not_sendable(url: str, error: Exception) -> ClientError:
    """The error for an invalid request, such as one to a malformed address."""
    return ClientError(f"the request to {url} can't be sent: {error}.", fix="check the address.", code="not_sendable")


def cause_of(error: BaseException) -> str:
    """The operating system's message; HTTP libraries wrap its errors several times."""
    found = error
    while True:
        if isinstance(found, OSError) and found.strerror:
            is_asyncio = found.strerror.startswith("Connect call failed")  # asyncio's text replaces the system's
            return os.strerror(found.errno) if is_asyncio and found.errno else found.strerror
        group = found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        wrapped = [getattr(found, "reason", None), *found.args, *group, found.__cause__]
        inner = next((each for each in wrapped if isinstance(each, BaseException)), None)
        if inner is None:
            return str(found).rstrip(".") or type(found).__name__
        found = inner
