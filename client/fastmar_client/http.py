"""The HTTP transport of `Client`; only this module imports requests."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import requests
from requests.adapters import HTTPAdapter

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


class HttpTransport:
    """A `Transport` that sends with requests."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self._url = url
        self._owns_session = session is None
        self._session = session or _session()

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Transport.send`."""
        stream = accepts_events(headers)
        try:
            answer = self._session.request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=stream,
            )
            events = stream and has_events(answer.status_code, answer.headers)
            content = b"" if events else answer.content
        except requests.RequestException as error:
            raise self._to_client_error(error, timeout[1]) from error
        chunks = self._chunks(answer, timeout[1]) if events else None
        return Reply(answer.status_code, content, answer.headers, answer.reason or "", chunks)

    def close(self) -> None:
        """Close the connections, except those of a session passed by the caller."""
        if self._owns_session:
            self._session.close()

    def _chunks(self, answer: requests.Response, seconds: float) -> Generator[bytes, None, None]:
        try:
            yield from answer.iter_content(None)  # as they arrive
        except requests.RequestException as error:
            raise self._to_client_error(error, seconds) from error
        finally:
            answer.close()

    def _to_client_error(self, error: requests.RequestException, seconds: float) -> ClientError:
        # ConnectTimeout is both a ConnectionError and a Timeout. Nothing was sent, so treat it as a connection error.
        if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectionError):
            return timed_out(self._url, seconds)
        if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
            # requests raises ConnectionError for a timeout while the body is read.
            if "Read timed out" in str(error):
                return timed_out(self._url, seconds)
            return unreachable(self._url, cause_of(error))
        return not_sendable(self._url, error)


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)  # without retries
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False  # ignore credentials in .netrc, and proxies, which would see the records
    session.verify = ca_bundle() or True
    return session
