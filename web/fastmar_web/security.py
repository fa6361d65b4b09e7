"""Security headers, and checks of the Host header and of the origin of forms.

There is no login, and the only cookie counts tables, so there is no credential to steal. But an attacker's page in the
visitor's browser could use this process to reach the model server. So requests that call a model are accepted only from
pages of the web app (`Origin`, `Sec-Fetch-Site`), and only under a known host name, which stops DNS rebinding (`Host`).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from fastmar_web.errors import RequestRefused
from fastmar_web.presentation import format_size
from fastmar_web.settings import LOOPBACK, Settings

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "font-src": "'self'",
    "img-src": "'self' blob: data:",  # previews of the visitor's own pictures; masks, logos
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Links contain the values of forms, which other sites must not see. With "no-referrer" our own forms lose `Origin`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def protect(app: Flask, settings: Settings) -> None:
    """Check each request before its body is read, and add the headers to each response."""

    @app.before_request
    def check() -> None:
        if not is_own_host(request.host, settings):
            raise RequestRefused(
                "The web app does not know this host name.",
                fix="open it by its IP address or localhost, or start it with --allow-host NAME.",
                code="unknown_host",
                title="Unknown address",
            )
        if request.method not in _SAFE_METHODS and not is_same_origin(request):
            raise RequestRefused(
                "The form was sent from another site.",
                fix="open the page itself, and send the form from there.",
                code="cross_site_request",
                status=403,
                title="Not from this page",
            )

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if request.endpoint == "static":
            response.headers["Cache-Control"] = "no-cache"  # revalidated with each use
        else:
            response.headers["Cache-Control"] = "no-store"
        return response


def is_own_host(host: str, settings: Settings) -> bool:
    """Whether the Host header names the web app. An attacker's domain may resolve to our address (DNS rebinding)."""
    name = hostname(host)
    if name in LOOPBACK or name == settings.host or name in settings.allowed_hosts:
        return True
    return not settings.is_local and _is_ip_address(name)


def hostname(host: str) -> str:
    """`host` without its port, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def is_same_origin(sent: Request) -> bool:
    """Whether a page of the web app sent the request, or a program that is not a browser: browsers name the origin."""
    site = sent.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = sent.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == sent.host.lower()


def limit_body(size: int) -> None:
    """Limit the body of this request to `size` bytes.

    Raises:
        RequestRefused: the declared length is larger.
    """
    request.max_content_length = size
    request.max_form_parts = 2_000
    if (request.content_length or 0) > size:
        raise body_too_large(request.content_length or 0, size)


def body_too_large(size: int, limit: int) -> RequestRefused:
    """The error for a body of `size` bytes, over `limit`."""
    return RequestRefused(
        f"The request has {format_size(size)}; the limit is {format_size(limit)}.",
        fix="send less in one request, or call the model server itself.",
        code="body_too_large",
        status=413,
        title="Too large",
    )


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
