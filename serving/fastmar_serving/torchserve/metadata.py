"""What the Open Inference Protocol v2 asks beside predictions: who the server is, what each model takes and gives.

https://github.com/kserve/open-inference-protocol gives the format.
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
from fastmar_serving.torchserve.archives import UNREADABLE, reads_bodies
from fastmar_serving.torchserve.root_documents import root_openapi

DATATYPES = {"number": "FP64"}  # of a column; any other comes as text


@dataclass(frozen=True)
class Facts:
    """What an archive says of its model.

    Attributes:
        tensors: inputs and outputs as the protocol names them; None where another tool made the archive, or a newer
            fastmar with a kind of answer that this one does not know.
        raw_bodies: whether it reads bodies of every media type itself.
        openapi: its OpenAPI document; None where it has none.
    """

    tensors: dict[str, Any] | None
    raw_bodies: bool
    openapi: dict[str, Any] | None = None


def read_facts(path: Path) -> Facts:
    """What the archive says; of one that can't be read, nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            raw_bodies = reads_bodies(archive)
            return Facts(_tensors_of(archive), raw_bodies, _openapi_of(archive))
    except UNREADABLE:
        return Facts(None, raw_bodies=False)


def server_metadata() -> dict[str, Any]:
    """Who the server is."""
    return {"name": "fastmar", "version": _version(), "extensions": []}


def model_metadata(name: str, versions: list[str], facts: Facts) -> dict[str, Any] | None:
    """What one version of a model takes and gives; None where its archive does not say."""
    return None if facts.tensors is None else {"name": name, "versions": versions, **facts.tensors}


def _tensors_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        return _tensors(json.loads(read_member(archive, SPEC)))
    except (KeyError, TypeError, AttributeError, ValueError, BundleError):
        return None


def _openapi_of(archive: zipfile.ZipFile) -> dict[str, Any] | None:
    try:
        document = json.loads(read_member(archive, OPENAPI))
        root_openapi([document])  # an archive of another tool may hold a document that can't be merged
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
