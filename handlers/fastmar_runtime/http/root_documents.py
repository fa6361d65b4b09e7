"""Documents of the server at `/docs`, `/openapi.json` and `/schema`, composed from the models' documents."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from fastmar_runtime.docs_assets import CSS
from fastmar_runtime.openapi_schemas import shared

JSON = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_SHARED = frozenset(shared())


def root_schema(models: Mapping[str, str]) -> JSON:
    """The served models with the paths of their documents. `models` are default versions by name."""
    return {
        "models": [
            {
                "name": name,
                "version": version,
                "predict": _path(name),
                **{document: f"{_path(name)}/{document}" for document in ("schema", "openapi.json", "docs")},
            }
            for name, version in sorted(models.items())
        ]
    }


def root_docs(models: Mapping[str, str]) -> str:
    """HTML page with links to the models' pages. Links are relative, so that a proxy may add a prefix."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    rows = "".join(
        f'<li><a href="{escape(_path(name)[1:])}/docs">{escape(name)}</a> version {escape(version)}</li>'
        for name, version in sorted(models.items())
    )
    found = f"<ul>{rows}</ul>" if rows else "<p>No model is loaded.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Models</title>
<style>{CSS}</style>
</head>
<body>
<main>
<h1>Models</h1>
{found}
<p>Machine-readable: <a href="schema">list of models</a>, <a href="openapi.json">OpenAPI of all models</a>.</p>
</main>
</body>
</html>
"""


def root_openapi(documents: Iterable[JSON]) -> JSON:
    """Merge the OpenAPI documents of several models, which have the same version of OpenAPI.

    Names of schemas and operations include the model's name, so they do not depend on the other models.
    """
    merged: JSON = {
        "openapi": "3.1.0",
        "info": {"title": "fastmar", "version": "1", "description": "All models of this server."},
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {},
    }
    for document in documents:
        model = str(document["info"]["title"])
        own = _with_names(document, model)
        merged["openapi"] = document["openapi"]
        merged["paths"] |= own["paths"]
        for kind, parts in own["components"].items():
            merged["components"].setdefault(kind, {}).update(parts)
        if "security" in document:
            merged["security"] = document["security"]
    return merged


def _path(name: str) -> str:
    return f"/predictions/{quote(name, safe='')}"


def _with_names(document: JSON, model: str) -> JSON:
    """Paths and components of a model's document, with the model's name in all names that must be unique."""
    prefix = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", model))
    suffix = re.sub(r"[^A-Za-z0-9]+", "_", model)
    schemas = document["components"]["schemas"]
    names = {name: name if name in _SHARED else prefix + name for name in schemas}

    def renamed(node: Any) -> Any:
        if isinstance(node, list):
            return [renamed(value) for value in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            return {**node, "$ref": _REFERENCE + names[reference.removeprefix(_REFERENCE)]}
        return {key: value if key == "example" else renamed(value) for key, value in node.items()}

    paths = {
        path: {
            method: {**renamed(operation), "operationId": f"{operation['operationId']}_{suffix}", "tags": [model]}
            for method, operation in item.items()
        }
        for path, item in document["paths"].items()
    }
    components = {kind: renamed(parts) for kind, parts in document["components"].items()}
    components["schemas"] = {names[name]: renamed(schema) for name, schema in schemas.items()}
    return {"paths": paths, "components": components}
