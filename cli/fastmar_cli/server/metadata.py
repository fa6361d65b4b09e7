"""What the Open Inference Protocol v2 asks beside predictions: who the server is, what each model takes and gives.

https://github.com/kserve/open-inference-protocol gives the format.
"""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastmar_cli.server.archives import Archive

DATATYPES = {"number": "FP64"}  # of a column; any other comes as text
PREDICTIONS = {"regression": "FP32", "points": "FP32", "raw": "FP32"}  # by decoder; any other is text


def documents(archives: list[Archive]) -> dict[str, str]:
    """JSON text by path: of the server, and of each model that fastmar exported, in its default version."""
    found = {"/v2": json.dumps({"name": "fastmar", "version": _version(), "extensions": []})}
    for archive in reversed(archives):  # the default comes first in them, so that it is written last here
        spec = _spec(archive)
        if spec is None:
            continue
        path = f"/v2/models/{archive.name}"
        versions = sorted(other.version for other in archives if other.name == archive.name)
        found[path] = json.dumps({"name": archive.name, "versions": versions, **_tensors(spec)})
        found[f"{path}/versions/{archive.version}"] = found[path]
    return found


def _tensors(spec: dict[str, Any]) -> dict[str, Any]:
    inputs = [
        {"name": field["name"], "datatype": DATATYPES.get(field["kind"], "BYTES"), "shape": [-1]}
        for field in spec["fields"]
    ]
    decode = spec["decode"]
    datatype = PREDICTIONS.get(decode["decoder"], "BYTES")
    outputs = [{"name": "prediction", "datatype": datatype, "shape": [-1] if datatype == "BYTES" else [-1, -1]}]
    if "vocab" in decode and decode["decoder"] != "segmentation":
        labels = decode.get("top") or len(decode["vocab"])
        outputs.append({"name": "probabilities", "datatype": "FP32", "shape": [-1, labels]})
    return {"platform": "onnxruntime_onnx", "inputs": inputs, "outputs": outputs}


def _spec(archive: Archive) -> dict[str, Any] | None:
    """The archive's spec; None where another tool made the archive."""
    try:
        with zipfile.ZipFile(archive.path) as file:
            spec: dict[str, Any] = json.loads(file.read("spec.json"))
        _tensors(spec)
    except (KeyError, TypeError, AttributeError, ValueError, OSError, zipfile.BadZipFile):
        return None
    return spec


def _version() -> str:
    try:
        return version("fastmar")
    except PackageNotFoundError:  # a bare checkout
        return "0"
