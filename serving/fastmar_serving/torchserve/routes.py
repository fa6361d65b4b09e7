"""The message to the front with its fixed responses, the prediction paths and the served models.

The front is the Java code that receives each request before TorchServe does (`front/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastmar_runtime.http.root_documents import root_docs
from fastmar_runtime.http.server_documents import Described, documents, health
from fastmar_serving.torchserve.metadata import ArchiveFacts

OK, UNAVAILABLE = 200, 503
LOADING = "models are loading"


@dataclass(frozen=True)
class ServedModel:
    """A registered model.

    Attributes:
        name: its name.
        default: its default version.
        ready: whether each version has a ready worker.
        facts: the facts of the archive of each version whose archive can be read.
        is_expected: whether the server counts as not ready without it: it was there at the start, or has been ready.
    """

    name: str
    default: str
    ready: Mapping[str, bool]
    facts: Mapping[str, ArchiveFacts] = field(default_factory=dict)
    is_expected: bool = True

    @property
    def versions(self) -> list[str]:
        """All versions, in order."""
        return sorted(self.ready)

    @property
    def reads_bodies(self) -> bool:
        """Whether the handlers of all its versions parse request bodies themselves."""
        return all(version in self.facts and self.facts[version].raw_bodies for version in self.ready)


@dataclass(frozen=True)
class PlatformRoutes:
    """Additional paths for a platform: health paths, and the prediction path that each other path maps to."""

    health: Sequence[str] = ()
    predictions: Mapping[str, str] = field(default_factory=dict)


def message(models: Iterable[ServedModel], platform: PlatformRoutes, problem: str = "") -> dict[str, Any]:
    """The message for the front. `problem` is the reason why the server is not ready; empty if it is ready."""
    models = list(models)
    expected = [_describe(model) for model in models if model.is_expected]
    answers: dict[str, Any] = {
        path: {"status": OK if ready else UNAVAILABLE, "body": json.dumps(body), "open": True}
        for path, (ready, body) in health(expected, platform.health, problem).items()
    }
    found = documents(map(_describe, models))
    answers |= {path: {"status": OK, "body": json.dumps(body), "open": False} for path, body in found.items()}
    page = root_docs({model.name: model.default for model in models})
    answers["/docs"] = {"status": OK, "type": "text/html; charset=utf-8", "body": page, "open": False}
    return {
        "answers": answers,
        "predictions": dict(platform.predictions),
        "models": {model.name: {"versions": model.versions, "raw": model.reads_bodies} for model in models},
    }


def _describe(model: ServedModel) -> Described:
    known = {version: facts.tensors for version, facts in model.facts.items() if facts.tensors is not None}
    default = model.facts.get(model.default)
    return Described(model.name, model.default, model.ready, known, default.openapi if default else None)
