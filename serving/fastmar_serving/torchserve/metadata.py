"""What the server needs from an archive to describe its model, such as its tensors in the Open Inference Protocol."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_contract.members import OPENAPI, SPEC, read_member
from fastmar_runtime.errors import BundleError
from fastmar_runtime.http.metadata import tensors
from fastmar_runtime.http.root_documents import root_openapi
from fastmar_serving.torchserve.archives import UNREADABLE, reads_bodies


@dataclass(frozen=True)
class ArchiveFacts:
    """What the server needs from an archive to describe its model.

    Attributes:
        tensors: inputs and outputs in the protocol's format; None if another tool made the archive, or a newer
            fastmar with an unknown kind of answer.
        raw_bodies: whether its handler parses request bodies of all media types itself.
        openapi: its OpenAPI document; None if it has none.
    """

    tensors: dict[str, Any] | None
    raw_bodies: bool
    openapi: dict[str, Any] | None = None


def read_facts(path: Path) -> ArchiveFacts:
    """Read the facts of an archive; empty ones if it can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            raw_bodies = reads_bodies(archive)
            return ArchiveFacts(_tensors_of(archive), raw_bodies, _openapi_of(archive))
    except UNREADABLE:
        return ArchiveFacts(None, raw_bodies=False)


def _tensors_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        spec = json.loads(read_member(archive, SPEC))
        return tensors(((field["name"], field["kind"]) for field in spec["fields"]), spec["decode"])
    except (KeyError, TypeError, AttributeError, ValueError, BundleError):
        return None


def _openapi_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        document = json.loads(read_member(archive, OPENAPI))
        root_openapi([document])  # the document of another tool may be impossible to merge
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    return document if isinstance(document, dict) else None
