"""Requests to one server, as steps: headers and keys, repetition where it is safe, and errors as ClientErrors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from fastmar_client.errors import ClientError, ServerFailed, Unauthorized
from fastmar_client.keys import Keys
from fastmar_client.refusals import REQUEST_ID, refusal, start
from fastmar_client.retries import Retries
from fastmar_client.sender import Reply, header
from fastmar_client.steps import Pause, Send, Steps

JSON = "application/json"
LINES = "application/jsonlines"  # one answer a line, for a request of that type

Headers = Mapping[str, str]


class Requester:
    """Makes the requests to one server and reads its replies; sends nothing. Safe to use from several threads."""

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
        self._own_headers = headers if callable(headers) else lambda: headers or {}
        self._keys = keys

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
    ) -> Steps[Any]:
        """A request, repeated as `retries` says; the result is the JSON of the answer.

        Raises:
            ClientError: there was no answer, or one with a status of 400 or more.
        """
        plan = retries or self.retries
        headers = _headers(body, content_type, self._own_headers(), request_id)
        key_was_renewed = False
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
                failure, again = error, plan.allows(error, attempt)
                failure.model = failure.model or model
                failure.request_id = failure.request_id or request_id
            else:
                if reply.status < 400 or _answers_each(reply):
                    return _content(reply, model)
                failure = refusal(reply, model, len(body or b""))
                failure.request_id = failure.request_id or request_id
                retry_after = failure.retry_after
                again = plan.allows_status(reply.status, attempt, retry_after)
                if isinstance(failure, Unauthorized) and not key_was_renewed:
                    self._keys.refresh()
                    # Another thread may have found the new key since this one was sent.
                    if self._keys.key() != key:
                        key_was_renewed = True
                        continue
            pause = plan.pause(attempt, retry_after)
            now = time.monotonic()
            deadline = deadline or now + plan.patience
            if not again or now + pause > deadline:
                raise failure
            yield Pause(pause)


def _headers(body: bytes | None, content_type: str, own: Headers, request_id: str | None) -> dict[str, str]:
    headers = {"Accept": JSON, **own}
    if body is not None:
        headers["Content-Type"] = content_type
    if request_id is not None:
        headers[REQUEST_ID] = request_id
    return headers


def _answers_each(reply: Reply) -> bool:
    """Whether a refusal answers each of several records: that is what comes back when none of them can be scored."""
    return reply.status == 400 and (
        reply.content[:1] == b"[" or reply.content.startswith(b'{"predictions"') or LINES in _type(reply)
    )


def _type(reply: Reply) -> str:
    return header(reply, "Content-Type") or ""


def _content(reply: Reply, model: str | None) -> Any:
    try:
        if LINES in _type(reply):
            return [json.loads(line) for line in reply.content.splitlines() if line.strip()]
        return json.loads(reply.content)
    except ValueError as error:
        raise ServerFailed(
            f"the answer is not JSON: {start(reply)!r}.",
            fix="check that the address is a server of fastmar archives.",
            code="not_json",
            status=reply.status,
            model=model,
            request_id=header(reply, REQUEST_ID),
        ) from error
