"""Requests to one server, as flows: headers, keys, retries, and conversion of failures to ClientErrors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from fastmar_client.errors import ClientError, ServerFailed, Unauthorized
from fastmar_client.flows import Flow, Pause, Send
from fastmar_client.keys import Keys
from fastmar_client.refusals import REQUEST_ID, beginning, to_client_error
from fastmar_client.retries import Retries
from fastmar_client.transport import Reply, header

JSON = "application/json"
LINES = "application/jsonlines"  # the response has one answer a line

Headers = Mapping[str, str]


class Requester:
    """Builds requests to one server and reads the responses; transports send them. Safe to use from several threads."""

    def __init__(
        self,
        *,
        keys: Keys,
        timeout: tuple[float, float],
        retries: Retries,
        headers: Headers | Callable[[], Headers] | None = None,
    ) -> None:
        self.retries = retries
        self.timeout = timeout
        self._extra_headers = headers if callable(headers) else lambda: headers or {}
        self._keys = keys
        self._reached = False  # whether the server has answered a request

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = JSON,
        model: str | None = None,
        retries: Retries | None = None,
        timeout: tuple[float, float] | None = None,
        request_id: str | None = None,
        accept: str = JSON,
    ) -> Flow[Any]:
        """Send a request, retried according to `retries`; the result is the parsed JSON of the response.

        If `accept` has the media type of events and the response is events, the result is the `Reply`.

        Raises:
            ClientError: there is no response, or its status is 400 or more.
        """
        policy = retries or self.retries
        headers = _headers(body, content_type, accept, self._extra_headers(), request_id)
        key_was_refreshed = False
        attempt = 0
        deadline = None
        while True:
            attempt += 1
            retry_after = None
            try:
                key = self._keys.key()
                authorized = headers | {"Authorization": f"Bearer {key}"} if key else headers
                reply: Reply = yield Send(method, path, body, authorized, timeout or self.timeout)
            except ClientError as error:
                failure, again = error, policy.allows(error, attempt, reached=self._reached)
                failure.model = failure.model or model
                failure.request_id = failure.request_id or request_id
            else:
                self._reached = True
                if reply.status < 400 or _has_answer_for_each_record(reply):
                    return _parse(reply, model) if reply.chunks is None else reply
                failure = to_client_error(reply, model, len(body or b""))
                failure.request_id = failure.request_id or request_id
                retry_after = failure.retry_after
                again = policy.allows_status(reply.status, attempt, retry_after)
                if isinstance(failure, Unauthorized) and not key_was_refreshed:
                    self._keys.refresh()
                    # Another thread may have read the new key since this request was sent.
                    if self._keys.key() != key:
                        key_was_refreshed = True
                        continue
            pause = policy.pause(attempt, retry_after)
            now = time.monotonic()
            deadline = deadline or now + policy.patience
            if not again or now + pause > deadline:
                raise failure
            yield Pause(pause)


def _headers(
    body: bytes | None, content_type: str, accept: str, extra: Headers, request_id: str | None
) -> dict[str, str]:
    headers = {"Accept": accept, **extra}
    if body is not None:
        headers["Content-Type"] = content_type
    if request_id is not None:
        headers[REQUEST_ID] = request_id
    return headers


def _has_answer_for_each_record(reply: Reply) -> bool:
    """Whether a response of status 400 has an error for each record: no record of the request can be scored."""
    return reply.status == 400 and (
        reply.content[:1] == b"[" or reply.content.startswith(b'{"predictions"') or LINES in _content_type(reply)
    )


def _content_type(reply: Reply) -> str:
    return header(reply, "Content-Type") or ""


def _parse(reply: Reply, model: str | None) -> Any:
    try:
        if LINES in _content_type(reply):
            return [json.loads(line) for line in reply.content.splitlines() if line.strip()]
        return json.loads(reply.content)
    except ValueError as error:
        raise ServerFailed(
            f"the response is not JSON: {beginning(reply)!r}.",
            fix="check that the address is that of a server of fastmar archives.",
            code="not_json",
            status=reply.status,
            model=model,
            request_id=header(reply, REQUEST_ID),
        ) from error
