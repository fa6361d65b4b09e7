"""The responses of a server about itself and its models: health checks, lists and metadata, on all engines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.http.metadata import model_metadata, server_metadata
from fastmar_runtime.http.root_documents import root_openapi, root_schema

STOPPING = "the server is stopping"

JSON = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """A served model.

    Attributes:
        name: its name.
        default: its default version.
        ready: whether each version can answer.
        tensors: the result of `metadata.tensors` for each version whose tensors are known.
        openapi: OpenAPI document of the default version; None if it has none.
    """

    name: str
    default: str
    ready: Mapping[str, bool]
    tensors: Mapping[str, JSON]
    openapi: JSON | None


def health(models: Iterable[Described], paths: Iterable[str], problem: str) -> dict[str, tuple[bool, JSON]]:
    """Health checks by path, which need no key: whether the status is 200, else 503, and the body.

    Args:
        models: the models that must be ready.
        paths: additional paths with the response of `/ping`.
        problem: reason why the server is not ready; empty if it is ready.
    """
    ready = not problem
    ping = {"status": "Not ready", "message": problem} if problem else {"status": "Healthy"}
    checks: dict[str, tuple[bool, JSON]] = {
        "/": (True, {"status": "alive"}),  # the liveness check of KServe's v1 client
        "/livez": (True, {"live": True}),
        "/readyz": (ready, {"ready": ready}),
        "/v2/health/live": (True, {"live": True}),
        "/v2/health/ready": (ready, {"ready": ready}),
        **dict.fromkeys(("/ping", *paths), (ready, ping)),
    }
    for model in models:
        of_version = {version: is_ready and problem != STOPPING for version, is_ready in model.ready.items()}
        ready = of_version[model.default]
        for path in (f"/v1/models/{model.name}", f"/v2/models/{model.name}/ready"):
            checks[path] = (ready, {"name": model.name, "ready": ready})
        for version, ready in of_version.items():
            body = {"name": model.name, "version": version, "ready": ready}
            checks[f"/v2/models/{model.name}/versions/{version}/ready"] = (ready, body)
    return checks


def documents(models: Iterable[Described]) -> dict[str, JSON]:
    """JSON documents by path, which need the key."""
    models = list(models)
    details = [
        {
            "name": model.name,
            "version": model.default,
            "versions": sorted(model.ready),
            "ready": model.ready[model.default],
        }
        for model in models
    ]
    found: dict[str, JSON] = {
        "/v1/models": {"models": [model.name for model in models], "details": details},
        "/v2": server_metadata(),
        "/schema": root_schema({model.name: model.default for model in models}),
        "/openapi.json": root_openapi(model.openapi for model in models if model.openapi is not None),
    }
    for model in models:
        path = f"/v2/models/{model.name}"
        for version, described in model.tensors.items():
            found[f"{path}/versions/{version}"] = model_metadata(model.name, sorted(model.ready), described)
        if model.default in model.tensors:
            found[path] = found[f"{path}/versions/{model.default}"]
    return found
