"""The HTTP transport of `AsyncClient`; only this module imports httpx."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastmar_client.errors import ClientError
from fastmar_client.transport import (
    CONNECTIONS,
    Reply,
    accepts_events,
    ca_bundle,
    cause_of,
    has_events,
    not_sendable,
    timed_out,
    unreachable,
)

try:
    import httpx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is not installed.\n"
        "  Fix: pip install '.[async]' in a checkout of fastmar, or pip install 'fastmar[async]'.",
        name=error.name,
    ) from error


class AsyncHttpTransport:
    """An `AsyncTransport` that sends with httpx."""

    def __init__(self, url: str, session: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._owns_session = session is None
        self._session = session or _session()

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Transport.send`."""
        connect, read = timeout
        limits = httpx.Timeout(connect=connect, read=read, write=read, pool=None)
        stream = accepts_events(headers)
        try:
            request = self._session.build_request(
                method, self._url + path, content=body, headers=headers, timeout=limits
            )
            answer = await self._session.send(request, follow_redirects=False, stream=stream)
            if stream and has_events(answer.status_code, answer.headers):
                chunks = self._chunks(answer, read)
                return Reply(answer.status_code, b"", answer.headers, answer.reason_phrase, chunks)
            async with aclosing(answer):
                content = await answer.aread()
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._to_client_error(error, read) from error
        return Reply(answer.status_code, content, answer.headers, answer.reason_phrase)

    async def close(self) -> None:
        """Close the connections, except those of a session passed by the caller."""
        if self._owns_session:
            await self._session.aclose()

    async def _chunks(self, answer: httpx.Response, seconds: float) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in answer.aiter_bytes():
                yield chunk
        except httpx.RequestError as error:
            raise self._to_client_error(error, seconds) from error
        finally:
            await answer.aclose()

    def _to_client_error(self, error: Exception, seconds: float) -> ClientError:
        if isinstance(error, httpx.ConnectTimeout):  # nothing was sent
            return unreachable(self._url, "timeout while connecting")
        if isinstance(error, httpx.TimeoutException):
            return timed_out(self._url, seconds)
        if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError):
            return unreachable(self._url, cause_of(error))
        return not_sendable(self._url, error)


def _session() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS)
    # trust_env=False: ignore credentials in .netrc, and proxies, which would see the records
    bundle = ca_bundle()
    verify = True if bundle is None else ssl.create_default_context(cafile=bundle)
    return httpx.AsyncClient(limits=limits, trust_env=False, verify=verify)
