"""What the front answers itself, and which paths lead to a model: the message that tells it what is served."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastmar_serving.torchserve.metadata import Facts, model_metadata, server_metadata
from fastmar_serving.torchserve.root_documents import root_docs, root_openapi, root_schema

OK, UNAVAILABLE = 200, 503
LOADING = "models are loading"
STOPPING = "the server is stopping"


@dataclass(frozen=True)
class Served:
    """One model that is registered.

    Attributes:
        name: its name.
        default: the version that answers where none is named.
        ready: whether each version has a worker that answers, by version.
        facts: what its archives say, by version; versions that can't be read are missing.
        promised: whether callers may rely on it: it was there at the start, or has been ready since.
    """

    name: str
    default: str
    ready: Mapping[str, bool]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    promised: bool = True

    @property
    def versions(self) -> list[str]:
        """All versions, in order."""
        return sorted(self.ready)

    @property
    def reads_bodies(self) -> bool:
        """Whether all its versions read bodies themselves."""
        return all(version in self.facts and self.facts[version].raw_bodies for version in self.ready)


@dataclass(frozen=True)
class PlatformRoutes:
    """Paths that a platform names: those that answer like /ping, and the path that each of the others means."""

    health: Sequence[str] = ()
    predictions: Mapping[str, str] = field(default_factory=dict)


def message(models: Iterable[Served], platform: PlatformRoutes, problem: str = "") -> dict[str, Any]:
    """What is served, as the front takes it. `problem` says why the server as a whole is not ready."""
    models = list(models)
    answers = {**_health(models, platform, problem), **_documents(models)}
    return {
        "answers": answers,
        "predictions": dict(platform.predictions),
        "models": {model.name: {"versions": model.versions, "raw": model.reads_bodies} for model in models},
    }


def _health(models: list[Served], platform: PlatformRoutes, problem: str) -> dict[str, Any]:
    """Health checks, which need no key."""
    ping = {"status": "Not ready", "message": problem} if problem else {"status": "Healthy"}
    answers = {
        "/": _open({"status": "alive"}),  # KServe's v1 client asks here whether the server lives
        "/v2/health/live": _open({"live": True}),
        "/v2/health/ready": _open({"ready": not problem}, ready=not problem),
        **{path: _open(ping, ready=not problem) for path in ("/ping", *platform.health)},
    }
    for model in models:
        if not model.promised:
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


def _documents(models: list[Served]) -> dict[str, Any]:
    """What is told to callers who have the key."""
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
            metadata = model_metadata(model.name, model.versions, facts)
            if metadata is None:
                continue
            answers[f"{path}/versions/{version}"] = _keyed(metadata)
            if version == model.default:
                answers[path] = _keyed(metadata)
    return answers


def _root_documents(models: list[Served]) -> dict[str, Any]:
    """Documents of the whole server: a page, the list of models, and one OpenAPI document of all default versions."""
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
