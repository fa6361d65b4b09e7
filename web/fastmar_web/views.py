"""The views of a model: its own page, its tables, its monitoring. Each is a tab, and a link in the list of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app, request

from fastmar_client import Schema
from fastmar_web import answer_pages
from fastmar_web.backend import JSON, Backend
from fastmar_web.monitoring import pages as monitoring_pages
from fastmar_web.page_types import kind_of
from fastmar_web.settings import Settings
from fastmar_web.tables import pages as table_pages


@dataclass(frozen=True, slots=True)
class View:
    """One view of a model.

    Attributes:
        title: its title, from the schema of the model.
        register: adds its pages to the app.
        endpoints: the endpoints of its pages; the first one is linked, and has the argument `reference`.
        has_model: whether a model with this schema has the view.
    """

    title: Callable[[JSON], str]
    register: Callable[[Flask, Backend, Settings], None]
    endpoints: tuple[str, ...]
    has_model: Callable[[JSON], bool] = lambda schema: True  # noqa: ARG005 - the type of the field

    @property
    def is_current(self) -> bool:
        """Whether the current request is for one of its pages."""
        return request.endpoint in self.endpoints


VIEWS = (
    View(lambda schema: kind_of(schema).page.view_name, answer_pages.register, ("model", "ask")),
    View(lambda _: "Table", table_pages.register, ("table", "send", "job"), lambda schema: Schema(schema).reads_csv),
    View(lambda _: "Monitoring", monitoring_pages.register, ("monitoring",)),
)


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the pages of all views to the app."""
    app.jinja_env.globals["views_of"] = views_of
    for view in VIEWS:
        view.register(app, backend, settings)


def views_of(schema: JSON) -> list[View]:
    """The views of a model, as far as the app has them: without archives, there is no monitoring."""
    return [view for view in VIEWS if view.endpoints[0] in current_app.view_functions and view.has_model(schema)]
