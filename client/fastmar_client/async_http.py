"""The one file that knows httpx."""

from __future__ import annotations

from collections.abc import Mapping

from fastmar_client.errors import ClientError
from fastmar_client.sender import CONNECTIONS, Reply, cause_of, not_sendable, timed_out, unreachable

try:
    import httpx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is not installed.\n  Fix: pip install 'fastmar[async]'", name=error.name
    ) from error


class AsyncHttpSender:
    """An `AsyncSender` over HTTP."""

    def __init__(self, url: str, session: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._own_session = session is None
        self._session = session or _session()

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Sender.send`."""
        connect, read = timeout
        limits = httpx.Timeout(connect=connect, read=read, write=read, pool=None)
        try:
            answer = await self._session.request(
                method, self._url + path, content=body, headers=headers, timeout=limits, follow_redirects=False
            )
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._explain(error, read) from error
        return Reply(answer.status_code, answer.content, answer.headers, answer.reason_phrase)

    async def close(self) -> None:
        """Close the connections, unless they belong to a session that was given."""
        if self._own_session:
            await self._session.aclose()

    def _explain(self, error: Exception, seconds: float) -> ClientError:
        if isinstance(error, httpx.ConnectTimeout):  # nothing was sent
            return unreachable(self._url, "the connection was not made in time")
        if isinstance(error, httpx.TimeoutException):
            return timed_out(self._url, seconds)
        if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError):
            return unreachable(self._url, cause_of(error))
        return not_sendable(self._url, error)


def _session() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS)
    # trust_env=False: or a .netrc would send its own Authorization, and a proxy would see the records
    return httpx.AsyncClient(limits=limits, trust_env=False)
