"""The one file that knows requests: sends, repeats where that is safe, and turns what goes wrong into ClientErrors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from fastmar_client.errors import (
    ClientError,
    ModelNotFound,
    RecordRefused,
    ServerFailed,
    ServerUnreachable,
    Timeout,
    Unauthorized,
)
from fastmar_client.keys import Keys, Kind
from fastmar_client.retries import Retries

JSON = "application/json"
LINES = "application/jsonlines"  # one answer a line, for a request of that type
CONNECTIONS = 64  # kept open to one server; more than `predict_many` is likely to be given
# Statuses that mean "not now". TorchServe answers 503 without Retry-After when a handler failed, too: that is repeated
# only when the server says when.
BUSY = (429, 503)
KEY_REFUSED = "InvalidKeyException"
NOT_FOUND = ("ModelNotFoundException", "ModelVersionNotFoundException")


class Transport:
    """Sends requests to one server and returns the JSON of its answers. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        keys: Keys,
        kind: Kind,
        timeout: tuple[float, float],
        retries: Retries,
        session: requests.Session | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._keys = keys
        self._kind: Kind = kind
        self._timeout = timeout
        self._retries = retries
        self._own_session = session is None
        self._session = session or _session()

    def close(self) -> None:
        """Close the connections, unless they belong to a session that was given."""
        if self._own_session:
            self._session.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = JSON,
        model: str | None = None,
        retries: Retries | None = None,
    ) -> Any:
        """Send a request and return its answer's JSON; raises a ClientError for any status of 400 and more."""
        plan = retries or self._retries
        key_was_renewed = False
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._send(method, path, body, content_type)
            except requests.RequestException as error:
                failure, pause = self._explain(error), plan.pause(attempt)
                again = not isinstance(failure, Timeout) or plan.after_timeout
            else:
                if answer.ok or _answers_each(answer):
                    return _content(answer, model)
                failure, pause = _refusal(answer, model), plan.pause(attempt, answer.headers.get("Retry-After"))
                again = answer.status_code in BUSY and "Retry-After" in answer.headers
                if isinstance(failure, Unauthorized) and not key_was_renewed and self._keys.refresh():
                    key_was_renewed = True
                    continue
            if not again or attempt >= plan.attempts:
                raise failure
            time.sleep(pause)

    def _send(self, method: str, path: str, body: bytes | None, content_type: str) -> requests.Response:
        headers: dict[str, str] = {"Accept": JSON}
        if body is not None:
            headers["Content-Type"] = content_type
        if key := self._keys.key(self._kind):
            headers["Authorization"] = f"Bearer {key}"
        return self._session.request(
            method, self.url + path, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
        )

    def _explain(self, error: requests.RequestException) -> ClientError:
        # A connect time-out is a kind of both ConnectionError and Timeout; nothing was sent, so it is the former here.
        if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectionError):
            return Timeout(
                f"{self.url} did not answer within {self._timeout[1]:g} s.",
                fix="give a longer timeout=(connect, read), send fewer records at once, or look at the server's load.",
            )
        if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
            return ServerUnreachable(
                f"no answer from {self.url}: {_cause(error)}.",
                fix="check the address, and that the server runs and is ready (`wait_until_ready`).",
            )
        return ClientError(f"the request to {self.url} can't be sent: {error}.", fix="check the address.")


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)  # repeats nothing by itself
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False  # or a .netrc would send its own Authorization, and a proxy would see the records
    return session


def _answers_each(answer: requests.Response) -> bool:
    """Whether a refusal answers each of several records: that is what comes back when none of them can be scored."""
    return answer.status_code == 400 and (
        answer.content[:1] == b"[" or answer.content.startswith(b'{"predictions"') or LINES in _type(answer)
    )


def _type(answer: requests.Response) -> str:
    content_type: str = answer.headers.get("Content-Type", "")
    return content_type


def _content(answer: requests.Response, model: str | None) -> Any:
    try:
        if LINES in _type(answer):
            return [json.loads(line) for line in answer.content.splitlines() if line.strip()]
        return json.loads(answer.content)
    except ValueError as error:
        raise ServerFailed(
            f"the answer is not JSON: {answer.text[:200]!r}.",
            fix="check that the address is a server of fastmar archives.",
            code="not_json",
            status=answer.status_code,
            model=model,
        ) from error


def _refusal(answer: requests.Response, model: str | None) -> ClientError:
    """The error for an answer's status: a model's own report, or TorchServe's `{"code", "type", "message"}`."""
    status = answer.status_code
    report = _report(answer)
    message = str(report.get("message") or answer.reason or f"status {status}")
    kind = report.get("type")
    if kind == KEY_REFUSED or status in (401, 403):
        fix = "give token= or key_file= (key_file.json in the server's run directory); keys change at each start."
        return Unauthorized(message, fix=fix, status=status, model=model)
    if kind in NOT_FOUND or (status == 404 and "fix" not in report):
        fix = "check the name and the version; `fastmar inspect` shows an archive's, `models()` the server's."
        return ModelNotFound(message, fix=fix, status=status, model=model)
    own = {
        "code": _text(report, "code") if "fix" in report else None,
        "field": _text(report, "field"),
        "fix": _text(report, "fix"),
    }
    if status < 500:
        fix = own["fix"] or "compare what was sent with the model's schema (`schema(model)`)."
        return RecordRefused(message, fix=fix, code=own["code"], field=own["field"], status=status, model=model)
    fix = own["fix"] or "read the server's log; if it is overloaded, send less at once or add workers."
    return ServerFailed(message, fix=fix, code=own["code"], field=own["field"], status=status, model=model)


def _report(answer: requests.Response) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.content)
    except ValueError:
        return {"message": answer.text[:200]}
    if isinstance(body, dict):
        report = body.get("error", body)
        return report if isinstance(report, dict) else {"message": str(report)}
    return {"message": str(body)[:200]}


def _text(report: Mapping[str, Any], name: str) -> str | None:
    value = report.get(name)
    return None if value is None else str(value)


def _cause(error: BaseException) -> str:
    """The innermost reason: requests wraps urllib3, which wraps the system's own words."""
    reason: object = error
    while isinstance(reason, BaseException):
        inner = getattr(reason, "reason", None) or next(
            (arg for arg in reason.args if isinstance(arg, Exception)), None
        )
        if inner is None:
            break
        reason = inner
    text = str(reason).rpartition(": ")[2] if isinstance(reason, requests.RequestException) else str(reason)
    return text.rpartition("> ")[2] or type(error).__name__
