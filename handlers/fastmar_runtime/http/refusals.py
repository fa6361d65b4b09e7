"""Error responses to requests that no model sees, in the format of the models' errors."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from fastmar_contract.display import short_repr
from fastmar_runtime.payload import Response

REALM = 'Bearer realm="fastmar"'
BASIC = 'Basic realm="fastmar", charset="UTF-8"'


def refusal(
    status: int, code: str, message: str, fix: str, *, v2: bool = False, headers: Mapping[str, str] | None = None
) -> Response:
    """``{"error": {"code", "message", "fix"}}``; in the Open Inference Protocol v2 an error is one string."""
    error = f"{message} Fix: {fix}" if v2 else {"code": code, "message": message, "fix": fix}
    return Response(status, orjson.dumps({"error": error}), headers=headers or {})


def unauthorized(*, v2: bool, browser: bool) -> Response:
    """No valid key. For `browser`, the header makes a browser prompt for a password."""
    return refusal(
        401,
        "unauthorized",
        "the request has no valid key.",
        "send the header `Authorization: Bearer KEY`; `fastmar serve` prints where the key is.",
        v2=v2,
        headers={"www-authenticate": f"{REALM}, {BASIC}" if browser else REALM},
    )


def not_found(path: str, *, v2: bool) -> Response:
    """An unknown path."""
    if path != "/" and path.endswith("/"):
        fix = "remove the slash at the end of the path."
    else:
        fix = "POST to /predictions/NAME; GET /v1/models lists the models."
    return refusal(404, "not_found", f"nothing is served at the path {short_repr(path)}.", fix, v2=v2)


def model_not_found(*, v2: bool) -> Response:
    """An unknown model."""
    return refusal(404, "model_not_found", "no such model is served.", "GET /v1/models lists the models.", v2=v2)


def version_not_found(*, v2: bool) -> Response:
    """An unknown version of a model."""
    fix = "GET /v1/models lists the versions of each model."
    return refusal(404, "version_not_found", "the model has no such version.", fix, v2=v2)


def name_required() -> Response:
    """`/invocations` without a model name on a server with several models."""
    return refusal(
        400,
        "model_name_required",
        "several models are served, and the request names none.",
        "POST to /predictions/NAME or /invocations?model_name=NAME.",
    )


def not_allowed(allow: str, *, v2: bool, preflight: bool = False) -> Response:
    """A method that the path does not allow, or a `preflight` request; `allow` is the value of the header Allow."""
    message = "this path does not allow this method."
    fix = f"use {allow.replace(', ', ' or ')}."
    if preflight:
        message = "the server does not allow requests from pages of other origins."
        fix = "start it with `fastmar serve --cors-origins ORIGIN`, where ORIGIN is that of the page."
    return refusal(405, "method_not_allowed", message, fix, v2=v2, headers={"allow": allow})


def too_large(limit: int, *, v2: bool) -> Response:
    """A body over the limit, before or after decompression."""
    message = f"the body has more than {limit} bytes."
    return refusal(413, "too_large", message, "send fewer records at once, or a smaller picture.", v2=v2)


def unknown_encoding(*, v2: bool) -> Response:
    """A Content-Encoding other than gzip and deflate."""
    return refusal(
        415,
        "content_encoding",
        "the body's Content-Encoding is neither gzip nor deflate.",
        "send it as gzip, as deflate, or without Content-Encoding.",
        v2=v2,
        headers={"accept-encoding": "gzip, deflate"},
    )


def damaged_body(*, v2: bool) -> Response:
    """A body that can't be decompressed."""
    message = "the body is not valid for its Content-Encoding."
    fix = "compress it again, or send it without Content-Encoding."
    return refusal(400, "content_encoding", message, fix, v2=v2)


def request_timeout(*, v2: bool) -> Response:
    """A body that did not arrive before the timeout."""
    message = "the request did not arrive in time."
    fix = "send it faster, or send less data."
    return refusal(408, "request_timeout", message, fix, v2=v2, headers={"connection": "close"})


def overloaded(*, v2: bool) -> Response:
    """The model's queue is full."""
    message = "the request was not accepted: too many requests are waiting."
    fix = "repeat it after a moment; if the error persists, add workers."
    return refusal(503, "overloaded", message, fix, v2=v2, headers={"retry-after": "1"})


def response_timeout(*, v2: bool) -> Response:
    """The model did not answer before the timeout."""
    message = "the model did not answer in time."
    fix = "repeat it, or send fewer records at once."
    return refusal(503, "response_timeout", message, fix, v2=v2, headers={"retry-after": "1"})
