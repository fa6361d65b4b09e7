"""The routing table of a server. It is rebuilt when a model or a default version changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastmar_runtime.batching import Batcher
from fastmar_runtime.http.metadata import tensors
from fastmar_runtime.http.root_documents import root_docs
from fastmar_runtime.http.server_documents import Described, documents, health
from fastmar_runtime.openapi import openapi
from fastmar_runtime.operations.kinds import OPERATIONS
from fastmar_runtime.payload import Response
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Spec

READ, POST = ("GET", "HEAD"), ("POST",)
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
        methods: allowed methods.
        fixed: the fixed response; None for predictions.
        version: the version that computes predictions; None if the query names the model.
        needs_key: whether callers need a key.
        v2: whether errors are in the format of protocol v2.
    """

    methods: tuple[str, ...]
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


def is_v2(path: str) -> bool:
    """Whether a path belongs to the Open Inference Protocol v2, whose errors have another format."""
    return path == "/v2" or path.startswith("/v2/")


def routes(models: Models, platform: PlatformPaths, problem: str = "") -> dict[str, Endpoint]:
    """The routing table.

    Args:
        models: the served models.
        platform: additional paths.
        problem: reason why the server is not ready; empty if it is ready.
    """
    described = _describe(models)
    table = {
        path: Endpoint(READ, _json(body, 200 if ready else 503), needs_key=False, v2=is_v2(path))
        for path, (ready, body) in health(described, platform.health, problem).items()
    }
    table |= {path: Endpoint(READ, _json(body, 200), v2=is_v2(path)) for path, body in documents(described).items()}
    table["/docs"] = Endpoint(READ, Response(200, root_docs(models.defaults).encode(), HTML, NO_STORE))
    for name, versions in models.versions.items():
        default = models.default(name)
        for path in (f"/predictions/{name}", f"/models/{name}/invoke", f"/v1/models/{name}:predict"):
            table[path] = Endpoint(POST, version=default)
        table |= {f"/models/{name}/{operation}": Endpoint(POST, version=default) for operation in OPERATIONS}
        table[f"/v2/models/{name}/infer"] = Endpoint(POST, version=default, v2=True)
        table |= _model_documents(f"/predictions/{name}", default)
        for version in versions.values():
            path = f"/predictions/{name}/{version.version}"
            table[path] = Endpoint(POST, version=version)
            below = f"/models/{name}/versions/{version.version}"
            table |= {f"{below}/{operation}": Endpoint(POST, version=version) for operation in OPERATIONS}
            table[f"/v2/models/{name}/versions/{version.version}/infer"] = Endpoint(POST, version=version, v2=True)
            table |= _model_documents(path, version)
    for path, name in platform.predictions.items():
        if name in models.versions:
            table[path] = Endpoint(POST, version=models.default(name))
    only = next(iter(models.versions)) if len(models.versions) == 1 else None
    table["/invocations"] = Endpoint(POST, version=models.default(only) if only is not None else None)
    return table


def _describe(models: Models) -> list[Described]:
    return [
        Described(
            name,
            models.defaults[name],
            dict.fromkeys(versions, True),
            {
                each.version: tensors(((f.name, f.kind) for f in each.spec.fields), each.spec.decode)
                for each in versions.values()
            },
            openapi(models.default(name).spec),
        )
        for name, versions in models.versions.items()
    ]


def _model_documents(path: str, version: Version) -> dict[str, Endpoint]:
    return {
        f"{path}/{document}": Endpoint(READ, Response(200, body, media_type, NO_STORE))
        for document, (media_type, body) in version.service.documents.items()
    }


def _json(body: object, status: int) -> Response:
    return Response(status, json.dumps(body).encode(), headers=NO_STORE)
