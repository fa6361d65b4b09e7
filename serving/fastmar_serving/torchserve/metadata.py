"""Server and model metadata of the Open Inference Protocol v2.

Format: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastmar_contract.members import OPENAPI, SPEC, read_member
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.errors import BundleError
from fastmar_runtime.http.root_documents import root_openapi
from fastmar_serving.torchserve.archives import UNREADABLE, reads_bodies

DATATYPES = {"number": "FP64"}  # by kind of column; all other kinds are BYTES


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


def server_metadata() -> dict[str, Any]:
    """Response of `/v2`."""
    return {"name": "fastmar", "version": _version(), "extensions": []}


def model_metadata(name: str, versions: list[str], facts: ArchiveFacts) -> dict[str, Any] | None:
    """Response of `/v2/models/NAME/versions/VERSION`; None if the tensors are unknown."""
    return None if facts.tensors is None else {"name": name, "versions": versions, **facts.tensors}


def _tensors_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        return _tensors(json.loads(read_member(archive, SPEC)))
    except (KeyError, TypeError, AttributeError, ValueError, BundleError):
        return None


def _openapi_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        document = json.loads(read_member(archive, OPENAPI))
        root_openapi([document])  # the document of another tool may be impossible to merge
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _tensors(spec: dict[str, Any]) -> dict[str, Any]:
    inputs = [
        {"name": field["name"], "datatype": DATATYPES.get(field["kind"], "BYTES"), "shape": [-1]}
        for field in spec["fields"]
    ]
    decode = spec["decode"]
    outputs = [tensor.metadata() for tensor in answer_kind(decode).tensors(decode)]
    return {"platform": "onnxruntime_onnx", "inputs": inputs, "outputs": outputs}


def _version() -> str:
    try:
        return version("fastmar")
    except PackageNotFoundError:  # a bare checkout
        return "0"
