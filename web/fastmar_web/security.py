"""What keeps the page safe whatever is on it and whoever calls: headers, the Host header, where a form came from.

There is no log-in, and the one cookie only counts tables, so nothing can be stolen that would let somebody in.
What an attacker's page in the
same browser could use is the way to the model server, which this process has and the attacker has not. So a request
that asks the model is taken only from pages of our own (`Origin`, `Sec-Fetch-Site`), and only under a name that can't
be an attacker's with our address behind it (`Host`).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from fastmar_web.errors import Refused
from fastmar_web.presentation import megabytes
from fastmar_web.settings import LOOPBACK, Settings

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",  # previews of the visitor's own pictures; masks
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Links hold what a form says: other sites must not see it. "no-referrer" would take the Origin from our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_READING = ("GET", "HEAD", "OPTIONS")


def protect(app: Flask, settings: Settings) -> None:
    """Check each request before it is read, and put the headers on each response."""

    @app.before_request
    def check() -> None:
        if not host_is_ours(request.host, settings):
            raise Refused(
                "This address is not known to the web app.",
                fix="open it under its IP address or localhost, or start it with --allow-host NAME.",
                title="Unknown address",
            )
        if request.method not in _READING and not came_from_us(request):
            raise Refused(
                "The form was sent from another site.",
                fix="open the page itself, and send the form from there.",
                status=403,
                title="Not from this page",
            )

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if request.endpoint == "static":
            response.headers["Cache-Control"] = (
                "no-cache"  # asked for again, and answered 304 where nothing has changed
            )
        else:
            response.headers["Cache-Control"] = "no-store"
        return response


def host_is_ours(host: str, settings: Settings) -> bool:
    """Whether the Host header is a name of ours. An attacker's domain may lead to our address; its name is its own."""
    name = hostname(host)
    if name in LOOPBACK or name == settings.host or name in settings.allowed_hosts:
        return True
    return not settings.is_local and _is_address(name)


def hostname(host: str) -> str:
    """`host` without its port, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def came_from_us(sent: Request) -> bool:
    """Whether a page of ours sent the request, or no browser did: browsers say where a POST comes from."""
    site = sent.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = sent.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == sent.host.lower()


def limit(size: int) -> None:
    """Take no more than `size` bytes of this request's body."""
    request.max_content_length = size
    request.max_form_parts = 2_000
    if (request.content_length or 0) > size:
        raise too_large(request.content_length or 0, size)


def too_large(size: int, most: int) -> Refused:
    """The error for a body of `size` bytes where `most` are taken."""
    return Refused(
        f"What was sent is {megabytes(size)} large; at most {megabytes(most)} are taken at once.",
        fix="send less at once, or ask the model server itself.",
        status=413,
        title="Too large",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
