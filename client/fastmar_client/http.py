"""The one file that knows requests."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from requests.adapters import HTTPAdapter

from fastmar_client.errors import ClientError
from fastmar_client.sender import CONNECTIONS, Reply, cause_of, not_sendable, timed_out, unreachable


class HttpSender:
    """A `Sender` over HTTP."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self._url = url
        self._own_session = session is None
        self._session = session or _session()

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        """See `Sender`."""
        try:
            answer = self._session.request(
                method, self._url + path, data=body, headers=headers, timeout=timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise self._explain(error, timeout[1]) from error
        return Reply(answer.status_code, answer.content, answer.headers, answer.reason or "")

    def close(self) -> None:
        """Close the connections, unless they belong to a session that was given."""
        if self._own_session:
            self._session.close()

    def _explain(self, error: requests.RequestException, seconds: float) -> ClientError:
        # A connect time-out is a kind of both ConnectionError and Timeout; nothing was sent, so it is the former here.
        if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectionError):
            return timed_out(self._url, seconds)
        if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
            # While a body is read requests calls a time-out a ConnectionError.
            if "Read timed out" in str(error):
                return timed_out(self._url, seconds)
            return unreachable(self._url, cause_of(error))
        return not_sendable(self._url, error)


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)  # repeats nothing by itself
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False  # or a .netrc would send its own Authorization, and a proxy would see the records
    return session
