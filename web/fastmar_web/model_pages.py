"""The list of models, and their readiness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, render_template, request

from fastmar_web.backend import Backend, Model
from fastmar_web.errors import PageError, sentence
from fastmar_web.forms.dates import date_of
from fastmar_web.page_types import UNKNOWN, Kind, kind_of
from fastmar_web.presentation import Presentation
from fastmar_web.references import join_reference, split_reference
from fastmar_web.settings import Settings

JSON = dict[str, Any]

READY, STARTING, FAILING = "ready", "starting", "failing"
FAILING_AFTER = 120.0  # seconds without a ready worker
MAX_TARGETS = 3  # in a card


@dataclass(frozen=True, slots=True)
class Card:
    """A model in the list.

    Attributes:
        model: name and versions.
        schema: the schema of the model; has only its name if it was never read.
        texts: its title and description.
        state: "ready", "starting" or "failing".
        kind: its kind, as far as it is known.
        takes, gives: its input and its targets, as text.
        created: date of its export, as 2024-01-31; empty if the archive has none.
        problem: why it can't be used, and what to do; empty if it is ready.
        code: the code of the problem.
        operator: what the operator can do; see `PageError`.
    """

    model: Model
    schema: JSON
    texts: Presentation
    state: str
    kind: Kind = UNKNOWN
    takes: str = ""
    gives: str = ""
    created: str = ""
    problem: str = ""
    code: str = ""
    operator: str = ""

    @property
    def others(self) -> list[tuple[str, str]]:
        """Versions besides the default, and the reference of each."""
        model = self.model
        return [(each, join_reference(model.name, each)) for each in model.versions if each != model.version]


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the pages to the app."""

    @app.get("/")
    def index() -> str:
        cards = [_card(backend, model) for model in backend.models()]
        # A browser can't send the key when it follows a link.
        api = "" if backend.needs_key else settings.shown_url
        return render_template("index.html", cards=cards, waiting=any(card.state != READY for card in cards), api=api)

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


def _card(backend: Backend, model: Model) -> Card:
    """A model in the list. A model that is not ready, or whose schema can't be read, is listed with the problem."""
    if model.ready:
        try:
            return _described(model, backend.schema(model.name, None), READY)
        except PageError as error:
            found = FAILING, error.code, f"{error.message} {sentence(error.fix)}", error.operator
    else:
        found = _waiting(model.waiting)
    return _described(model, backend.last_schema(model.name) or {"name": model.name}, *found)


def _waiting(seconds: float) -> tuple[str, str, str, str]:
    """State, code, problem and advice to the operator of a model that has not been ready for some seconds."""
    if seconds < FAILING_AFTER:
        return STARTING, "model_not_ready", "The model is loading. This page updates automatically.", ""
    minutes = int(seconds // 60)
    return (
        FAILING,
        "model_not_starting",
        f"Not ready for {minutes} minutes.",
        "the log of the model server has the reason.",
    )


def _described(model: Model, schema: JSON, state: str, code: str = "", problem: str = "", operator: str = "") -> Card:
    texts = Presentation(schema)
    targets = [texts.label(str(target)) for target in schema.get("targets", [])]
    more = " ..." if len(targets) > MAX_TARGETS else ""
    created = date_of(str(schema.get("created") or ""))
    kind = kind_of(schema) if "record" in schema else UNKNOWN
    return Card(
        model,
        schema,
        texts,
        state,
        kind=kind,
        takes="" if kind is UNKNOWN else kind.page.takes(schema),
        gives=", ".join(targets[:MAX_TARGETS]) + more,
        created=created.date().isoformat() if created else "",
        problem=problem,
        code=code,
        operator=operator,
    )
