"""The Flask app: routes, checks and error pages."""

from __future__ import annotations

import sys
import traceback

from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from fastmar_web import model_pages, views
from fastmar_web.backend import Backend
from fastmar_web.errors import PageError
from fastmar_web.security import body_too_large, protect
from fastmar_web.settings import MEGABYTE, Settings

DEFAULT_RETRY_AFTER = 60  # seconds, for a 503 without a time of its own
MAX_FORM_BYTES = 2 * MEGABYTE  # of a request without files


def create_app(settings: Settings | None = None, backend: Backend | None = None) -> Flask:
    """The web app, to be run by a WSGI server.

    Args:
        settings: its settings.
        backend: replaces the connection to the model server, in tests.
    """
    settings = settings or Settings()
    backend = backend or Backend(settings)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    protect(app, settings)
    model_pages.register(app, backend, settings)
    views.register(app, backend, settings)
    app.teardown_request(lambda _: request.close())  # deletes uploads on the disk
    app.register_error_handler(PageError, error_response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)

    @app.get("/health")
    def health() -> Response:
        """Health check of the web app; the model server has its own."""
        return Response("ok\n", mimetype="text/plain")

    return app


def error_response(error: PageError) -> Response:
    """The error as a page, or as JSON for scripts."""
    if request.accept_mimetypes.best == "application/json":
        response = jsonify(
            {
                "code": error.code,
                "sentence": f"{error.title}. {error.message}",
                "html": render_template("_error.html", error=error),
                "failed": True,
                "retry": error.is_temporary,
            }
        )
    else:
        response = make_response(render_template("error.html", error=error))
    response.status_code = error.status
    if error.retry_after or error.status == 503:
        response.headers["Retry-After"] = str(error.retry_after or DEFAULT_RETRY_AFTER)
    return response


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return error_response(body_too_large(request.content_length or 0, request.max_content_length or MAX_FORM_BYTES))
    status = error.code or 500
    if status == 404:
        page = PageError(
            "This page does not exist.",
            fix="go back to the list of models.",
            code="page_not_found",
            status=status,
            title="Not found",
        )
    elif status == 405:
        page = PageError(
            f"This address does not accept {request.method}.",
            fix="open the page itself, and send the form from there.",
            code="method_not_allowed",
            status=status,
            title="Not possible",
        )
    else:
        page = PageError(f"{error.name}.", fix="go back, and try again.", code="http_error", status=status)
    return error_response(page)


def _unexpected_error(error: Exception) -> Response:
    traceback.print_exception(error, file=sys.stderr)
    return error_response(
        PageError(
            "This page failed on your request.",
            fix="try again.",
            code="internal_error",
            operator="the log of `fastmar web` has the details.",
        )
    )
