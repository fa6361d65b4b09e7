"""Which page a model has, by its kind: a form made from its schema, unless its kind has a page of its own."""

from __future__ import annotations

from flask import request

from fastmar_web.backend import Backend
from fastmar_web.form_page import FormPage
from fastmar_web.page import JSON, Page
from fastmar_web.picture_page import PicturePage
from fastmar_web.references import split
from fastmar_web.settings import Settings

_PAGE_TYPES: dict[str, type[Page]] = {"vision": PicturePage}


def page_type(schema: JSON) -> type[Page]:
    """The type of a model's page."""
    return _PAGE_TYPES.get(str(schema.get("kind")), FormPage)


def open_page(backend: Backend, settings: Settings, reference: str) -> Page:
    """The page that the current request asks for.

    Raises:
        PageError: there is no such model, or it is not ready.
    """
    scripted = request.accept_mimetypes.best == "application/json"
    # A model that is being loaded lets requests wait, so a whole page is made only of one that is ready.
    model = None if scripted else backend.model(*split(reference))
    schema = backend.schema(*split(reference))
    return page_type(schema)(backend, settings, reference, schema, model)
