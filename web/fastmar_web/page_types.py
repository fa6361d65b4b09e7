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
    """A kind of model.

    Attributes:
        name: its name in the list of models.
        page: the type of its page.
        icon: path of its icon, in an SVG of 24 by 24.
    """

    name: str
    page: type[Page]
    icon: str = "M12 3.5l7.5 4.25v8.5L12 20.5l-7.5-4.25v-8.5zM4.5 7.75L12 12l7.5-4.25M12 12v8.5"


_GRID = "M3.5 5.5h17v13h-17zM3.5 10h17M3.5 14.25h17M9.5 10v8.5"
_LINES = "M4 6h16M4 10h16M4 14h16M4 18h9"
_PICTURE = "M3.5 5h17v14h-17zM4 16.5l4.5-4.5 3.5 3.5 3.5-4.5 4.5 5.5M8.75 9.25h.01"
_STAR = "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.8-5.2-2.8-5.2 2.8 1-5.8-4.3-4.1 5.9-.8z"
_PEN = "M4.5 19.5l1-4.5L15.75 4.75l3.5 3.5L9 18.5zM13.5 7l3.5 3.5M12.5 19.5h7"

# By an operation, or by the kind, in the schema. The first match counts: a recommender has the kind "tabular", too.
KINDS = {
    "recommender": Kind("Recommender", RecommenderPage, _STAR),
    "generator": Kind("Language model", GeneratorPage, _PEN),
    "tabular": Kind("Table", FormPage, _GRID),
    "text": Kind("Text", FormPage, _LINES),
    "vision": Kind("Pictures", PicturePage, _PICTURE),
}
UNKNOWN = Kind("", FormPage)  # of a model without a schema


def kind_of(schema: JSON) -> Kind:
    """The kind of a model. Other kinds have a form."""
    name = str(schema.get("kind") or "model")
    found = (kind for key, kind in KINDS.items() if key == name or schema.get(key))
    return next(found, None) or Kind(humanize(name), FormPage)


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
