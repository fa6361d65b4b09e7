"""Server and model metadata of the Open Inference Protocol v2.

Format: https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastmar_runtime.answers import answer_kind

DATATYPES = {"number": "FP64"}  # by kind of column; all other kinds are BYTES


def server_metadata() -> dict[str, Any]:
    """Response of `/v2`."""
    return {"name": "fastmar", "version": _version(), "extensions": []}


def tensors(fields: Iterable[tuple[str, str]], decode: dict[str, Any]) -> dict[str, Any]:
    """Inputs and outputs of a model in the protocol's format; `fields` are pairs of name and kind."""
    inputs = [{"name": name, "datatype": DATATYPES.get(kind, "BYTES"), "shape": [-1]} for name, kind in fields]
    outputs = [tensor.metadata() for tensor in answer_kind(decode).tensors(decode)]
    return {"platform": "onnxruntime_onnx", "inputs": inputs, "outputs": outputs}


def model_metadata(name: str, versions: Sequence[str], described: Mapping[str, Any]) -> dict[str, Any]:
    """Response of `/v2/models/NAME/versions/VERSION`; `described` is the result of `tensors`."""
    return {"name": name, "versions": list(versions), **described}


def _version() -> str:
    try:
        return version("fastmar")
    except PackageNotFoundError:  # a bare checkout
        return "0"
