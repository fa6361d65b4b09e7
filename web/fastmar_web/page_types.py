"""Which page a model has: a form made from its schema, unless its kind or its operations have a page of their own."""

from __future__ import annotations

from flask import request

from fastmar_web.backend import Backend
from fastmar_web.form_page import FormPage
from fastmar_web.generator_page import GeneratorPage
from fastmar_web.page import JSON, Page
from fastmar_web.picture_page import PicturePage
from fastmar_web.recommender_page import RecommenderPage
from fastmar_web.references import split_reference
from fastmar_web.settings import Settings

_OF_OPERATIONS: dict[str, type[Page]] = {"recommender": RecommenderPage, "generator": GeneratorPage}
_PAGE_TYPES: dict[str, type[Page]] = {"vision": PicturePage}


def page_type(schema: JSON) -> type[Page]:
    """The type of a model's page."""
    operations = (page for name, page in _OF_OPERATIONS.items() if schema.get(name))
    return next(operations, None) or _PAGE_TYPES.get(str(schema.get("kind")), FormPage)


def open_page(backend: Backend, settings: Settings, reference: str) -> Page:
    """The page of the model in the current request.

    Raises:
        PageError: the model does not exist or is not ready.
    """
    is_script = request.accept_mimetypes.best == "application/json"
    # Requests to a model that is loading wait, so a whole page is rendered only for a model that is ready.
    model = None if is_script else backend.model(*split_reference(reference))
    schema = backend.schema(*split_reference(reference))
    return page_type(schema)(backend, settings, reference, schema, model)
