"""The routing table of a server. It is rebuilt when a model or a default version changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fastmar_runtime.batching import Batcher
from fastmar_runtime.documents import documents
from fastmar_runtime.http.metadata import model_metadata, server_metadata, tensors
from fastmar_runtime.http.root_documents import root_docs, root_openapi, root_schema
from fastmar_runtime.openapi import openapi
from fastmar_runtime.payload import Response
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Spec

READ, POST = "GET, HEAD", "POST"
HTML = "text/html; charset=utf-8"
NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Version:
    """A loaded version of a model.

    Attributes:
        name: name of the model.
        version: its version.
        spec: its spec.
        service: parses its requests.
        batcher: computes its requests.
    """

    name: str
    version: str
    spec: Spec
    service: Service
    batcher: Batcher


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The entry of a path.

    Attributes:
        methods: allowed methods, as in the header Allow.
        fixed: the fixed response; None for predictions.
        version: the version that computes predictions; None if the query names the model.
        needs_key: whether callers need a key.
        v2: whether errors are in the format of protocol v2.
    """

    methods: str
    fixed: Response | None = None
    version: Version | None = None
    needs_key: bool = True
    v2: bool = False


@dataclass(frozen=True)
class Models:
    """The served models.

    Attributes:
        versions: all versions, by name and version.
        defaults: default version of each model.
    """

    versions: Mapping[str, Mapping[str, Version]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def default(self, name: str) -> Version:
        """The default version of a model."""
        return self.versions[name][self.defaults[name]]


@dataclass(frozen=True)
class PlatformPaths:
    """Additional paths for a platform.

    Attributes:
        health: paths with the response of `/ping`.
        predictions: paths for predictions, and the model of each.
    """

    health: Sequence[str] = ()
    predictions: Mapping[str, str] = field(default_factory=dict)


def routes(models: Models, platform: PlatformPaths, problem: str = "") -> dict[str, Endpoint]:
    """The routing table.

    Args:
        models: the served models.
        platform: additional paths.
        problem: reason why the server is not ready; empty if it is ready.
    """
    table = {**_health(models, platform.health, problem), **_documents(models)}
    for name, versions in models.versions.items():
        default = models.default(name)
        for path in (f"/predictions/{name}", f"/models/{name}/invoke", f"/v1/models/{name}:predict"):
            table[path] = Endpoint(POST, version=default)
        table[f"/v2/models/{name}/infer"] = Endpoint(POST, version=default, v2=True)
        table |= _model_documents(f"/predictions/{name}", default)
        for version in versions.values():
            path = f"/predictions/{name}/{version.version}"
            table[path] = Endpoint(POST, version=version)
            table[f"/v2/models/{name}/versions/{version.version}/infer"] = Endpoint(POST, version=version, v2=True)
            table |= _model_documents(path, version)
    for path, name in platform.predictions.items():
        if name in models.versions:
            table[path] = Endpoint(POST, version=models.default(name))
    only = next(iter(models.versions)) if len(models.versions) == 1 else None
    table["/invocations"] = Endpoint(POST, version=models.default(only) if only is not None else None)
    return table


def _health(models: Models, health: Iterable[str], problem: str) -> dict[str, Endpoint]:
    """Responses of the health checks, which need no key."""
    ping = {"status": "Not ready", "message": problem} if problem else {"status": "Healthy"}
    ready = not problem
    table = {
        "/": _open({"status": "alive"}),  # the liveness check of KServe's v1 client
        "/livez": _open({"live": True}),
        "/readyz": _open({"ready": ready}, ready=ready),
        "/v2/health/live": _open({"live": True}, v2=True),
        "/v2/health/ready": _open({"ready": ready}, ready=ready, v2=True),
        **{path: _open(ping, ready=ready) for path in ("/ping", *health)},
    }
    for name, versions in models.versions.items():
        for path in (f"/v1/models/{name}", f"/v2/models/{name}/ready"):
            table[path] = _open({"name": name, "ready": ready}, ready=ready, v2=path.startswith("/v2"))
        for version in versions:
            body = {"name": name, "version": version, "ready": ready}
            table[f"/v2/models/{name}/versions/{version}/ready"] = _open(body, ready=ready, v2=True)
    return table


def _documents(models: Models) -> dict[str, Endpoint]:
    """Documents of the server, and metadata of each model."""
    details = [
        {"name": name, "version": models.defaults[name], "versions": sorted(versions), "ready": True}
        for name, versions in models.versions.items()
    ]
    merged = root_openapi(openapi(models.default(name).spec) for name in models.versions)
    table = {
        "/v1/models": _keyed({"models": list(models.versions), "details": details}),
        "/v2": _keyed(server_metadata(), v2=True),
        "/schema": _keyed(root_schema(models.defaults)),
        "/openapi.json": _keyed(merged),
        "/docs": Endpoint(READ, Response(200, root_docs(models.defaults).encode(), HTML, NO_STORE)),
    }
    for name, versions in models.versions.items():
        for version in versions.values():
            described = tensors(((f.name, f.kind) for f in version.spec.fields), version.spec.decode)
            metadata = _keyed(model_metadata(name, sorted(versions), described), v2=True)
            table[f"/v2/models/{name}/versions/{version.version}"] = metadata
            if version.version == models.defaults[name]:
                table[f"/v2/models/{name}"] = metadata
    return table


def _model_documents(path: str, version: Version) -> dict[str, Endpoint]:
    return {
        f"{path}/{document}": Endpoint(READ, Response(200, body, media_type, NO_STORE))
        for document, (media_type, body) in documents(version.spec).items()
    }


def _open(body: object, *, ready: bool = True, v2: bool = False) -> Endpoint:
    return Endpoint(READ, _json(body, 200 if ready else 503), needs_key=False, v2=v2)


def _keyed(body: object, *, v2: bool = False) -> Endpoint:
    return Endpoint(READ, _json(body, 200), v2=v2)


def _json(body: object, status: int) -> Response:
    return Response(status, json.dumps(body).encode(), headers=NO_STORE)
