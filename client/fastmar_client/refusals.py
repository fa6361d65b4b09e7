"""Converts responses with an HTTP status of 400 or more to ClientErrors."""

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
from fastmar_client.transport import Reply, header

KEY_REFUSED = "InvalidKeyException"  # TorchServe's, with status 400
NOT_FOUND = ("ModelNotFoundException", "ModelVersionNotFoundException")
_OWN_FIX = ("model_not_found", "version_not_found", "unauthorized")
TRY_LATER = (408, 425, 429)  # sent by proxies too; the request itself is valid
REQUEST_ID = "X-Request-ID"

_KEY_FIX = "pass token= or key_file= (--key-file on the command line); `fastmar serve` prints the file at its start."
_NAME_FIX = "check the name and the version; `fastmar models` and `Client.models()` list what the server has loaded."
_SIZE_FIX = "send at most 16 MB: fewer records in a request (batch_size=), or smaller pictures."
_METHOD_FIX = "check the address; predictions are POST requests to a server of fastmar archives."
_TYPE_FIX = "send JSON, JSON lines, CSV or a picture with its Content-Type, uncompressed or gzipped."
_BUSY_FIX = "send fewer requests at a time (concurrency=), and retry{later}."
_SERVER_FIX = "read the server's log; if the server is overloaded, send fewer requests at a time or add workers."
_RECORD_FIX = "compare the record with the model's schema (`Client.schema(model)`)."


def to_client_error(reply: Reply, model: str | None, sent: int = 0) -> ClientError:
    """Convert a response: the server's error object, or TorchServe's `{"code", "type", "message"}`.

    Args:
        reply: a response with a status of 400 or more.
        model: the name of the requested model.
        sent: number of bytes of the request's body.
    """
    report = _report(reply)
    kind, fix = _class_and_fix(reply, report)
    message = str(report.get("message") or reply.reason or f"status {reply.status}")
    if kind is ModelNotFound and model and model not in message:
        message = f"{model}: {message}"
    if kind is TooLarge and "fix" not in report:
        message = f"the request has {sent:,} bytes, which exceeds the server's limit."
    error = kind(
        message,
        # The server's fix for an unknown model is a GET request, and for a missing key a header.
        fix=fix if report.get("code") in _OWN_FIX else _text(report, "fix") or fix,
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


def _class_and_fix(reply: Reply, report: Mapping[str, Any]) -> tuple[Callable[..., ClientError], str]:
    """The class of the error, and the fix to use if the server sends none."""
    status = reply.status
    if report.get("type") == KEY_REFUSED:
        return Unauthorized, _KEY_FIX
    if status == 404 or report.get("type") in NOT_FOUND:
        return ModelNotFound, _NAME_FIX
    if status in _KINDS:
        return _KINDS[status]
    if status in TRY_LATER:
        later = header(reply, "Retry-After")
        return ServerFailed, _BUSY_FIX.format(later=f" after {later} s" if later and later.isdecimal() else " later")
    return (ServerFailed, _SERVER_FIX) if status >= 500 else (RecordRefused, _RECORD_FIX)


def faults(report: Mapping[str, Any]) -> list[Fault]:
    """The faults of a record, if an error object lists several."""
    listed = report.get("errors")
    return [fault for fault in listed if isinstance(fault, dict)] if isinstance(listed, list) else []


def beginning(reply: Reply) -> str:
    """The first characters of a response, for a message."""
    return reply.content[:200].decode("utf-8", "replace")


def _report(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json.loads(reply.content)
    except ValueError:
        return {"message": beginning(reply)}
    if isinstance(body, dict):
        report = body.get("error", body)
        return report if isinstance(report, dict) else {"message": str(report)}
    return {"message": str(body)[:200]}


def _text(report: Mapping[str, Any], name: str) -> str | None:
    value = report.get(name)
    return None if value is None else str(value)
