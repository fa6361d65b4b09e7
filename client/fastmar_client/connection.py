"""The connection of a `Client` to its server."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fastmar_client.calls import Calls
from fastmar_client.flows import Flow, Result, run
from fastmar_client.requester import Headers
from fastmar_client.retries import Retries
from fastmar_client.transport import Transport, base_url

if TYPE_CHECKING:
    import requests


class Connection:
    """The transport of a client, and what all of its requests have in common."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        timeout: float | tuple[float, float] = (3.0, 60.0),
        retries: Retries = Retries(),  # noqa: B008 - frozen
        session: requests.Session | None = None,
        transport: Transport | None = None,
        headers: Headers | Callable[[], Headers] | None = None,
    ) -> None:
        """Create a client. Nothing is sent yet.

        Args:
            url: address of the inference API, or of one of its models; without a scheme it is http.
            token: key for the inference API, if the server requires one.
            key_file: a file with the key, instead of a token: the server's key_file.json, which is read again when keys
                change, or a text file whose first key is sent.
            timeout: seconds to connect, and seconds without data from the server; one number sets both.
            retries: the retry policy.
            session: a `requests.Session` with your certificates and proxies; it is not closed.
            transport: replaces HTTP; see `fastmar_client.testing`.
            headers: headers of every request, or a function that returns them for each request, such as
                {"traceparent": ...}.
        """
        self._calls = Calls(token=token, key_file=key_file, timeout=timeout, retries=retries, headers=headers)
        if transport is None:
            from fastmar_client.http import HttpTransport  # noqa: PLC0415 - imports requests

            transport = HttpTransport(base_url(url), session)
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._transport.close()

    def _run(self, flow: Flow[Result]) -> Result:
        return run(flow, self._transport)
