"""Kinds of models: their names and icons in the list, and their pages.

A model has a form made from its schema, unless its kind or its operations have a page of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from fastmar_contract.display import humanize
from fastmar_web.backend import Backend
from fastmar_web.forms.generator import GeneratorPage
from fastmar_web.forms.page import FormPage
from fastmar_web.forms.recommender import RecommenderPage
from fastmar_web.page import JSON, Page
from fastmar_web.pictures.page import PicturePage
from fastmar_web.references import split_reference
from fastmar_web.settings import Settings


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of model: its name in the list of models, its icon in `templates/_icon.html`, and the type of its page."""

    name: str
    icon: str
    page: type[Page]


_OF_OPERATIONS = {
    "recommender": Kind("Recommender", "star", RecommenderPage),
    "generator": Kind("Language model", "pen", GeneratorPage),
}
_KINDS = {
    "tabular": Kind("Table", "table", FormPage),
    "text": Kind("Text", "text", FormPage),
    "vision": Kind("Pictures", "picture", PicturePage),
}


def kind_of(schema: JSON) -> Kind:
    """The kind of a model."""
    operations = (kind for name, kind in _OF_OPERATIONS.items() if schema.get(name))
    name = str(schema.get("kind") or "model")
    return next(operations, None) or _KINDS.get(name) or Kind(humanize(name), "model", FormPage)


def open_page(backend: Backend, settings: Settings, reference: str) -> Page:
    """The page of the model in the current request.

    Raises:
        PageError: the model does not exist or is not ready.
    """
    is_script = request.accept_mimetypes.best == "application/json"
    # Requests to a model that is loading wait, so a whole page is rendered only for a model that is ready.
    model = None if is_script else backend.model(*split_reference(reference))
    schema = backend.schema(*split_reference(reference))
    return kind_of(schema).page(backend, settings, reference, schema, model)
