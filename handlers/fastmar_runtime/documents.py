"""The documents of a model, served at `/predictions/NAME/VERSION/DOCUMENT`."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.docs_page import docs_page
from fastmar_runtime.openapi import V30, openapi
from fastmar_runtime.samples import NAME as SAMPLES
from fastmar_runtime.samples import read_samples
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec

JSON_TYPE, HTML_TYPE = "application/json", "text/html; charset=utf-8"

DOCUMENTS: dict[str, tuple[str, Callable[[Spec], bytes]]] = {
    "schema": (JSON_TYPE, lambda spec: orjson.dumps(describe(spec))),
    "openapi.json": (JSON_TYPE, lambda spec: orjson.dumps(openapi(spec))),
    "openapi-3.0.json": (JSON_TYPE, lambda spec: orjson.dumps(openapi(spec, V30))),
    "docs": (HTML_TYPE, lambda spec: docs_page(spec).encode()),
}
ALIASES = {"openapi": "openapi.json"}


def documents(spec: Spec, files: BundleFiles | None = None) -> dict[str, tuple[str, bytes]]:
    """Media type and body of each document, by name and alias; also the sample pictures in `files`."""
    found = {name: (media_type, write(spec)) for name, (media_type, write) in DOCUMENTS.items()}
    if (samples := read_samples(files)) is not None:
        found[SAMPLES] = (JSON_TYPE, samples)
    return found | {alias: found[name] for alias, name in ALIASES.items()}
