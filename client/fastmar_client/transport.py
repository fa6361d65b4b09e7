"""Requests to one server: repeated where that is safe, and what goes wrong turned into ClientErrors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from fastmar_client.errors import ClientError, ModelNotFound, RecordRefused, ServerFailed, Unauthorized
from fastmar_client.keys import Keys
from fastmar_client.retries import Retries
from fastmar_client.sender import Reply, Sender

JSON = "application/json"
LINES = "application/jsonlines"  # one answer a line, for a request of that type
# Statuses that mean "not now". TorchServe answers 503 without Retry-After when a handler failed, too: that is repeated
# only when the server says when, or where a caller wants it. The others come from what stands before a server; none of
# them is about what was sent.
BUSY = (408, 425, 429, 503)
KEY_REFUSED = "InvalidKeyException"
NOT_FOUND = ("ModelNotFoundException", "ModelVersionNotFoundException")
UNKNOWN = ("model_not_found", "version_not_found")  # codes of a server that `fastmar serve` runs


class Transport:
    """Sends requests to one server and returns the JSON of its answers. Safe to use from several threads."""

    def __init__(self, sender: Sender, *, keys: Keys, timeout: tuple[float, float], retries: Retries) -> None:
        self.retries = retries
        self.timeout = timeout
        self._sender = sender
        self._keys = keys

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

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
    ) -> Any:
        """Send a request and return its answer's JSON; raises a ClientError for any status of 400 and more."""
        plan = retries or self.retries
        key_was_renewed = False
        attempt = 0
        while True:
            attempt += 1
            asked = None
            try:
                key = self._keys.key()
                headers = _headers(body, content_type, key)
                reply = self._sender.send(method, path, body, headers, timeout or self.timeout)
            except ClientError as error:
                failure, again = error, plan.repeats_unanswered(error)
                failure.model = failure.model or model
            else:
                if reply.status < 400 or _answers_each(reply):
                    return _content(reply, model)
                failure, asked = _refusal(reply, model), reply.headers.get("Retry-After")
                again = (reply.status in BUSY and asked is not None) or (
                    isinstance(failure, ServerFailed) and plan.after_failure
                )
                if isinstance(failure, Unauthorized) and not key_was_renewed:
                    self._keys.refresh()
                    # Another thread may have found the new key since this one was sent.
                    if self._keys.key() != key:
                        key_was_renewed = True
                        continue
            if not again or attempt >= plan.attempts:
                raise failure
            time.sleep(plan.pause(attempt, asked))


def _headers(body: bytes | None, content_type: str, key: str | None) -> dict[str, str]:
    headers = {"Accept": JSON}
    if body is not None:
        headers["Content-Type"] = content_type
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _answers_each(reply: Reply) -> bool:
    """Whether a refusal answers each of several records: that is what comes back when none of them can be scored."""
    return reply.status == 400 and (
        reply.content[:1] == b"[" or reply.content.startswith(b'{"predictions"') or LINES in _type(reply)
    )


def _type(reply: Reply) -> str:
    return reply.headers.get("Content-Type") or ""


def _content(reply: Reply, model: str | None) -> Any:
    try:
        if LINES in _type(reply):
            return [json.loads(line) for line in reply.content.splitlines() if line.strip()]
        return json.loads(reply.content)
    except ValueError as error:
        raise ServerFailed(
            f"the answer is not JSON: {_start(reply)!r}.",
            fix="check that the address is a server of fastmar archives.",
            code="not_json",
            status=reply.status,
            model=model,
        ) from error


def _start(reply: Reply) -> str:
    return reply.content[:200].decode("utf-8", "replace")


def _refusal(reply: Reply, model: str | None) -> ClientError:
    """The error for an answer's status: a model's own report, or TorchServe's `{"code", "type", "message"}`."""
    status = reply.status
    report = _report(reply)
    message = str(report.get("message") or reply.reason or f"status {status}")
    kind = report.get("type")
    if kind == KEY_REFUSED or status in (401, 403):
        fix = "give token= or key_file= (on the command line --key-file): what `fastmar serve` names at its start."
        return Unauthorized(message, fix=fix, status=status, model=model)
    if kind in NOT_FOUND or report.get("code") in UNKNOWN or (status == 404 and "fix" not in report):
        fix = "check the name and the version: `fastmar models` or `Client.models()` lists those of the server."
        return ModelNotFound(message, fix=fix, status=status, model=model)
    own = {
        "code": _text(report, "code") if "fix" in report else None,
        "field": _text(report, "field"),
        "fix": _text(report, "fix"),
    }
    if status < 500 and status not in BUSY:
        fix = own["fix"] or "compare what was sent with the model's schema (`schema(model)`)."
        return RecordRefused(message, fix=fix, code=own["code"], field=own["field"], status=status, model=model)
    fix = own["fix"] or "read the server's log; if it is overloaded, send less at once or add workers."
    return ServerFailed(message, fix=fix, code=own["code"], field=own["field"], status=status, model=model)


def _report(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json.loads(reply.content)
    except ValueError:
        return {"message": _start(reply)}
    if isinstance(body, dict):
        report = body.get("error", body)
        return report if isinstance(report, dict) else {"message": str(report)}
    return {"message": str(body)[:200]}


def _text(report: Mapping[str, Any], name: str) -> str | None:
    value = report.get(name)
    return None if value is None else str(value)
