"""The Flask app: what each part is given, and what is shown when something goes wrong."""

from __future__ import annotations

import sys
import traceback

from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from fastmar_client import Schema
from fastmar_web import answer_pages, model_pages, table_pages
from fastmar_web.backend import Backend
from fastmar_web.errors import PageError
from fastmar_web.jobs import Jobs
from fastmar_web.presentation import humanized
from fastmar_web.security import protect, too_large
from fastmar_web.settings import MEGABYTE, Settings

RETRY_AFTER = 60  # seconds, with a 503 that does not say more
TEXT_FORM = 2 * MEGABYTE  # largest request that is no upload


def create_app(settings: Settings | None = None, backend: Backend | None = None) -> Flask:
    """The web app, to be run by a WSGI server.

    Args:
        settings: what whoever runs it says.
        backend: replaces the model server, in tests.
    """
    settings = settings or Settings()
    backend = backend or Backend(settings)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = TEXT_FORM
    app.config["MAX_FORM_MEMORY_SIZE"] = TEXT_FORM
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["humanized"] = humanized
    app.jinja_env.tests["read_from_csv"] = lambda schema: Schema(schema).reads_csv
    jobs = Jobs(settings.folder, visitor=settings.visitor, address=settings.address)
    app.extensions["fastmar_jobs"] = jobs
    protect(app, settings)
    model_pages.register(app, backend)
    answer_pages.register(app, backend, settings)
    table_pages.register(app, backend, settings, jobs)
    app.teardown_request(lambda _: request.close())  # uploads that lie on the disk
    app.register_error_handler(PageError, failed)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _ours)

    @app.get("/health")
    def health() -> Response:
        """Whether the web app itself runs; the model server has a health check of its own."""
        return Response("ok\n", mimetype="text/plain")

    return app


def failed(error: PageError) -> Response:
    """The page, or for a script the JSON, that says what went wrong."""
    if request.accept_mimetypes.best == "application/json":
        response = jsonify(
            {
                "sentence": f"{error.title}. {error.message}",
                "html": render_template("_error.html", error=error),
                "failed": True,
                "retry": error.passing,
            }
        )
    else:
        response = make_response(render_template("error.html", error=error))
    response.status_code = error.status
    if error.retry_after or error.status == 503:
        response.headers["Retry-After"] = str(error.retry_after or RETRY_AFTER)
    return response


def _http(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return failed(too_large(request.content_length or 0, request.max_content_length or TEXT_FORM))
    said = {
        404: ("There is no such page.", "go back to the list of models.", "Not found"),
        405: (
            "This address does not take that.",
            "open the page itself, and send the form from there.",
            "Not possible",
        ),
    }
    status = error.code or 500
    message, fix, title = said.get(status, (error.name + ".", "go back, and try again.", "This did not work"))
    return failed(PageError(message, fix=fix, status=status, title=title))


def _ours(error: Exception) -> Response:
    traceback.print_exception(error, file=sys.stderr)
    return failed(PageError("The web app failed on this request.", fix="see the log of `fastmar web`.", status=500))
