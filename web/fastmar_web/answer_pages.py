"""Routes of a model's page: show the form, answer it. Both work without scripts; a script replaces only the answer."""

from __future__ import annotations

from flask import Flask, Response, jsonify, redirect, render_template
from werkzeug.wrappers import Response as WerkzeugResponse

from fastmar_web.backend import Backend
from fastmar_web.colours import stylesheet
from fastmar_web.errors import PageError
from fastmar_web.page_types import open_page
from fastmar_web.presentation import Presentation
from fastmar_web.references import split_reference
from fastmar_web.security import limit_body
from fastmar_web.settings import Settings


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the pages to the app."""

    @app.get("/models/<reference>")
    def model(reference: str) -> str:
        return open_page(backend, settings, reference).show()

    @app.get("/models/<reference>/theme.css")
    def theme(reference: str) -> Response:
        accent = Presentation(backend.schema(*split_reference(reference))).accent
        return Response(stylesheet(accent) if accent else "", mimetype="text/css")

    @app.get("/models/<reference>/random")
    def random_example(reference: str) -> WerkzeugResponse:
        return redirect(open_page(backend, settings, reference).random_link())

    @app.post("/models/<reference>/code")
    def code(reference: str) -> Response:
        """For scripts: the code for the values of the page."""
        snippets = open_page(backend, settings, reference).code()
        html = render_template("_snippets.html", snippets=snippets) if snippets else ""
        return jsonify({"html": html, "failed": snippets is None, "code": None if snippets else "invalid_values"})

    @app.get("/models/<reference>/samples/<int:number>")
    def sample(reference: str, number: int) -> Response:
        samples = backend.samples(*split_reference(reference))
        if number >= len(samples):
            raise PageError(
                "The model has no such sample.",
                fix="open the page of the model again.",
                code="sample_not_found",
                status=404,
                title="Not found",
            )
        return Response(samples[number], mimetype="image/jpeg")

    @app.post("/models/<reference>")
    def ask(reference: str) -> Response | str:
        page = open_page(backend, settings, reference)
        limit_body(page.max_bytes)
        return page.answer()
