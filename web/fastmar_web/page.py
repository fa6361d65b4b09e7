"""The base class of the pages of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from flask import Response, render_template, url_for

from fastmar_web.answers import AnswerView, answer_view
from fastmar_web.backend import Backend, Model
from fastmar_web.presentation import Presentation
from fastmar_web.references import other_versions, split_reference
from fastmar_web.settings import Settings
from fastmar_web.snippets import Snippets, SnippetWriter

JSON = dict[str, Any]


class Page(ABC):
    """One request to the page of one model.

    Attributes:
        input_name: what the model takes, for messages.
        view_name: what links to the page are called.
        reference: the model and its version, as in the address.
        name, version: the name and the version of the model; the version is None for the default version.
        schema: the schema of the model.
        texts: its titles, labels and sentences.
    """

    input_name: ClassVar[str]
    view_name: ClassVar[str]

    def __init__(self, backend: Backend, settings: Settings, reference: str, schema: JSON, model: Model | None) -> None:
        """`model` is None for a request of a script, which needs the answer only."""
        self._backend = backend
        self._settings = settings
        self.reference = reference
        self.name, self.version = split_reference(reference)
        self.schema = schema
        self._model = model
        self.texts = Presentation(schema)

    @classmethod
    @abstractmethod
    def takes(cls, schema: JSON) -> str:
        """A short description of the input, for the list of models."""

    @property
    @abstractmethod
    def max_bytes(self) -> int:
        """Largest body of a prediction request, in bytes."""

    @abstractmethod
    def show(self) -> str:
        """The page without an answer."""

    @abstractmethod
    def answer(self) -> Response | str:
        """The page, or JSON for scripts, with the answer to the current request."""

    @abstractmethod
    def code(self) -> Snippets | None:
        """Code that sends the current request; None if the request is invalid."""

    def random_link(self) -> str:
        """The address of the page with a random example; of the page itself if there are none."""
        return url_for("model", reference=self.reference)

    @property
    def _is_script(self) -> bool:
        return self._model is None

    def _view(self, answer: JSON) -> AnswerView:
        return answer_view(answer, self.schema, self.texts)

    def _writer(self) -> SnippetWriter:
        return SnippetWriter(self._settings.shown_url, self.name, self.version, needs_key=self._backend.needs_key)

    def _render(self, template: str, **more: Any) -> str:
        versions = other_versions(self._model, self.version) if self._model else []
        common = {"texts": self.texts, "schema": self.schema, "reference": self.reference, "versions": versions}
        return render_template(template, **common, **more)
