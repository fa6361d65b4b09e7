"""The message to the front with its fixed responses, the prediction paths and the served models.

The front is the Java code that receives each request before TorchServe does (`front/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastmar_runtime.http.metadata import model_metadata, server_metadata
from fastmar_runtime.http.root_documents import root_docs, root_openapi, root_schema
from fastmar_serving.torchserve.metadata import ArchiveFacts

OK, UNAVAILABLE = 200, 503
LOADING = "models are loading"
STOPPING = "the server is stopping"


@dataclass(frozen=True)
class ServedModel:
    """A registered model.

    Attributes:
        name: its name.
        default: its default version.
        ready: by version, whether it has a ready worker.
        facts: by version, the facts of its archive; without versions whose archive can't be read.
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
    answers = {**_health(models, platform, problem), **_documents(models)}
    return {
        "answers": answers,
        "predictions": dict(platform.predictions),
        "models": {model.name: {"versions": model.versions, "raw": model.reads_bodies} for model in models},
    }


def _health(models: list[ServedModel], platform: PlatformRoutes, problem: str) -> dict[str, Any]:
    """Responses of the health checks, which need no key."""
    ping = {"status": "Not ready", "message": problem} if problem else {"status": "Healthy"}
    answers = {
        "/": _open({"status": "alive"}),  # the liveness check of KServe's v1 client
        "/v2/health/live": _open({"live": True}),
        "/v2/health/ready": _open({"ready": not problem}, ready=not problem),
        **{path: _open(ping, ready=not problem) for path in ("/ping", *platform.health)},
    }
    for model in models:
        if not model.is_expected:
            continue
        ready = model.ready[model.default] and problem != STOPPING
        for path in (f"/v1/models/{model.name}", f"/v2/models/{model.name}/ready"):
            answers[path] = _open({"name": model.name, "ready": ready}, ready=ready)
        for version, is_ready in model.ready.items():
            ready = is_ready and problem != STOPPING
            answers[f"/v2/models/{model.name}/versions/{version}/ready"] = _open(
                {"name": model.name, "version": version, "ready": ready}, ready=ready
            )
    return answers


def _documents(models: list[ServedModel]) -> dict[str, Any]:
    """Responses that need the key."""
    details = [
        {
            "name": model.name,
            "version": model.default,
            "versions": model.versions,
            "ready": model.ready[model.default],
        }
        for model in models
    ]
    answers = {
        "/v1/models": _keyed({"models": [model.name for model in models], "details": details}),
        "/v2": _keyed(server_metadata()),
        **_root_documents(models),
    }
    for model in models:
        path = f"/v2/models/{model.name}"
        for version, facts in model.facts.items():
            if facts.tensors is None:
                continue
            metadata = model_metadata(model.name, model.versions, facts.tensors)
            answers[f"{path}/versions/{version}"] = _keyed(metadata)
            if version == model.default:
                answers[path] = _keyed(metadata)
    return answers


def _root_documents(models: list[ServedModel]) -> dict[str, Any]:
    """Documents of the server: a page, the list of models, and one OpenAPI document of all default versions."""
    defaults = {model.name: model.default for model in models}
    found = [model.facts[model.default].openapi for model in models if model.default in model.facts]
    return {
        "/docs": {"status": OK, "type": "text/html; charset=utf-8", "body": root_docs(defaults), "open": False},
        "/schema": _keyed(root_schema(defaults)),
        "/openapi.json": _keyed(root_openapi(document for document in found if document is not None)),
    }


def _open(body: dict[str, Any], *, ready: bool = True) -> dict[str, Any]:
    return {"status": OK if ready else UNAVAILABLE, "body": json.dumps(body), "open": True}


def _keyed(body: dict[str, Any]) -> dict[str, Any]:
    return {"status": OK, "body": json.dumps(body), "open": False}
