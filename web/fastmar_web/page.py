"""What the pages of models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from flask import Response, render_template

from fastmar_web.answers import Shown, shown
from fastmar_web.backend import Backend, Model
from fastmar_web.presentation import Presentation
from fastmar_web.references import other_versions, split
from fastmar_web.settings import Settings
from fastmar_web.snippets import Writer

JSON = dict[str, Any]


class Page(ABC):
    """One request to one model's page.

    Attributes:
        asked_with: what a person asks the model with, for messages.
        reference: the model as the address names it.
        name, version: of the model; the version is None for the server's default.
        schema: of the model.
        texts: how it wants to be shown.
    """

    asked_with: ClassVar[str]

    def __init__(self, backend: Backend, settings: Settings, reference: str, schema: JSON, model: Model | None) -> None:
        """`model` is None for a script, which gets only an answer."""
        self._backend = backend
        self._settings = settings
        self.reference = reference
        self.name, self.version = split(reference)
        self.schema = schema
        self._model = model
        self.texts = Presentation(schema)

    @classmethod
    @abstractmethod
    def takes(cls, schema: JSON) -> str:
        """What the model takes, for the list of models."""

    @property
    @abstractmethod
    def max_bytes(self) -> int:
        """Bytes that a request with something to ask may have."""

    @abstractmethod
    def show(self) -> str:
        """The page before anything is asked."""

    @abstractmethod
    def answer(self) -> Response | str:
        """The answer to what was sent."""

    @property
    def _scripted(self) -> bool:
        return self._model is None

    def _shown(self, answer: JSON) -> Shown:
        return shown(answer, self.schema, self.texts)

    def _writer(self) -> Writer:
        return Writer(self._settings.shown_url, self.name, self.version, needs_key=self._backend.needs_key)

    def _render(self, template: str, **more: Any) -> str:
        versions = other_versions(self._model, self.version) if self._model else []
        common = {"texts": self.texts, "schema": self.schema, "reference": self.reference, "versions": versions}
        return render_template(template, **common, **more)
