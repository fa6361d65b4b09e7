"""The list of models, and their readiness."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Flask, Response, jsonify, render_template, request

from fastmar_contract.display import humanize
from fastmar_web.backend import Backend, Model
from fastmar_web.errors import PageError
from fastmar_web.page_types import page_type
from fastmar_web.presentation import Presentation
from fastmar_web.references import split_reference

JSON = dict[str, Any]


def register(app: Flask, backend: Backend) -> None:
    """Add the pages to the app."""

    @app.get("/")
    def index() -> str:
        models = [_card(backend, model) for model in backend.models()]
        return render_template("index.html", models=models, waiting=any(not model["ready"] for model in models))

    @app.get("/status")
    def status() -> Response:
        """For scripts: whether the server, or one model, is ready."""
        reference = request.args.get("model", "")
        try:
            if reference:
                backend.model(*split_reference(reference))
            else:
                backend.models()
        except PageError as error:
            return jsonify(
                {"ready": False, "passing": error.is_temporary, "code": error.code, "message": error.message}
            )
        return jsonify({"ready": True})


def _card(backend: Backend, model: Model) -> JSON:
    """A model in the list. A model whose schema can't be read is listed with the problem."""
    card: JSON = {
        "name": model.name,
        "path": quote(model.name),
        "title": humanize(model.name),
        "version": model.version,
        "ready": model.ready,
        "description": "",
        "takes": "",
    }
    if not model.ready:
        return card
    try:
        schema = backend.schema(model.name, None)
    except PageError as error:
        return card | {"ready": False, "problem": error.message, "code": error.code}
    texts = Presentation(schema)
    targets = [texts.label(str(target)) for target in schema.get("targets", [])]
    return card | {
        "title": texts.title,
        "description": texts.description,
        "takes": page_type(schema).takes(schema),
        "gives": ", ".join(targets[:3]) + (" ..." if len(targets) > 3 else ""),
    }
