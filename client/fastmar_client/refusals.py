"""A server's answers of status 400 and more, turned into ClientErrors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastmar_client.errors import (
    ClientError,
    Fault,
    MethodRefused,
    ModelNotFound,
    RecordRefused,
    ServerFailed,
    TooLarge,
    Unauthorized,
)
from fastmar_client.sender import Reply, header

KEY_REFUSED = "InvalidKeyException"  # of TorchServe, with status 400
NOT_FOUND = ("ModelNotFoundException", "ModelVersionNotFoundException")
NOT_NOW = (408, 425, 429)  # from what stands before a server; none of them is about what was sent
REQUEST_ID = "X-Request-ID"

_KEY_FIX = "give token= or key_file= (on the command line --key-file): what `fastmar serve` names at its start."
_NAME_FIX = "check the name and the version: `fastmar models` or `Client.models()` lists those of the server."
_SIZE_FIX = "send fewer bytes: the limit is 16 MB. Send fewer records in a request (batch_size=), or smaller pictures."
_METHOD_FIX = "check the address: predictions are POST requests to a server of fastmar archives."
_TYPE_FIX = "send JSON, JSON lines, CSV or a picture, with its Content-Type, as it is or compressed with gzip."
_BUSY_FIX = "send fewer requests at a time (concurrency=), and try again{later}."
_SERVER_FIX = "read the server's log; if it is overloaded, send less at once or add workers."
_RECORD_FIX = "compare what was sent with the model's schema (`schema(model)`)."


def refusal(reply: Reply, model: str | None, sent: int = 0) -> ClientError:
    """The error for an answer: the server's own report, or TorchServe's `{"code", "type", "message"}`.

    Args:
        reply: of status 400 and more.
        model: that was asked.
        sent: bytes of the request's body.
    """
    report = _report(reply)
    kind, fix = _kind(reply, report)
    message = str(report.get("message") or reply.reason or f"status {reply.status}")
    if kind is ModelNotFound and model and model not in message:
        message = f"{model}: {message}"
    if kind is TooLarge and "fix" not in report:
        message = f"the request has {sent:,} bytes, which are more than the server takes."
    error = kind(
        message,
        fix=_text(report, "fix") or fix,
        code=_text(report, "code") if "fix" in report else _CODES.get(reply.status),
        field=_text(report, "field"),
        status=reply.status,
        model=model,
        request_id=header(reply, REQUEST_ID),
        retry_after=header(reply, "Retry-After"),
    )
    error.faults = faults(report)
    return error


_CODES = {415: "unsupported_media_type"}
_KINDS: dict[int, tuple[Callable[..., ClientError], str]] = {
    401: (Unauthorized, _KEY_FIX),
    403: (Unauthorized, _KEY_FIX),
    405: (MethodRefused, _METHOD_FIX),
    413: (TooLarge, _SIZE_FIX),
    415: (RecordRefused, _TYPE_FIX),
}


def _kind(reply: Reply, report: Mapping[str, Any]) -> tuple[Callable[..., ClientError], str]:
    """The class of the error, and what to do where the server does not say it."""
    status = reply.status
    if report.get("type") == KEY_REFUSED:
        return Unauthorized, _KEY_FIX
    if status == 404 or report.get("type") in NOT_FOUND:
        return ModelNotFound, _NAME_FIX
    if status in _KINDS:
        return _KINDS[status]
    if status in NOT_NOW:
        later = header(reply, "Retry-After")
        return ServerFailed, _BUSY_FIX.format(later=f" after {later} s" if later and later.isdecimal() else " later")
    return (ServerFailed, _SERVER_FIX) if status >= 500 else (RecordRefused, _RECORD_FIX)


def faults(report: Mapping[str, Any]) -> list[Fault]:
    """All that is wrong with a record, where a report of it lists more than the first."""
    listed = report.get("errors")
    return [fault for fault in listed if isinstance(fault, dict)] if isinstance(listed, list) else []


def start(reply: Reply) -> str:
    """How an answer begins, for a message."""
    return reply.content[:200].decode("utf-8", "replace")


def _report(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json.loads(reply.content)
    except ValueError:
        return {"message": start(reply)}
    if isinstance(body, dict):
        report = body.get("error", body)
        return report if isinstance(report, dict) else {"message": str(report)}
    return {"message": str(body)[:200]}


def _text(report: Mapping[str, Any], name: str) -> str | None:
    value = report.get(name)
    return None if value is None else str(value)
