"""Open Inference Protocol v2 (``/v2/models/NAME/infer``): an input tensor a column, an output tensor an answer's part.

https://github.com/kserve/open-inference-protocol gives the format. It has no place for an error of one record: a
request with a record that can not be scored is refused whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from fastmar_runtime.errors import RequestError
from fastmar_runtime.report import sendable
from fastmar_runtime.spec import Spec

_FIX = 'send {"inputs": [{"name": COLUMN, "shape": [N], "datatype": ..., "data": [...]}, ...]}, each with N values.'


def read(data: dict[str, Any], most: int | None = None) -> list[dict[str, Any]]:
    """Records out of the tensors of an inference request; null stands for a missing value, also in a BYTES tensor.

    No more than `most` records are made; None makes all.

    Raises:
        RequestError: a tensor has no name or data, or they differ in length.
    """
    columns: dict[str, list[Any]] = {}
    for tensor in data["inputs"]:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise RequestError("an input has no name.", fix=_FIX)
        values = tensor.get("data")
        if not isinstance(values, list):
            raise RequestError(f"input {tensor['name']!r} has no data.", fix=_FIX)
        if tensor["name"] in columns:
            raise RequestError(f"input {tensor['name']!r} is there twice.", fix=_FIX)
        columns[tensor["name"]] = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]  # shape [N, 1]
    if not columns:
        raise RequestError("the request has no inputs.", fix=_FIX)
    lengths = {name: len(values) for name, values in columns.items()}
    (first, size), *others = lengths.items()
    for name, length in others:
        if length != size:
            raise RequestError(f"inputs differ in length: {first!r} {size}, {name!r} {length}.", fix=_FIX)
    rows = islice(zip(*columns.values(), strict=True), most)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def write(request: dict[str, Any], answers: Sequence[dict[str, Any]], spec: Spec) -> dict[str, Any]:
    """The inference response, one output for each part of the answers.

    ``prediction`` [N] or [N, targets]; where there are labels, ``probabilities`` [N, labels] row by row; where there is
    something to say, ``warnings`` [N], each a JSON list.
    """
    size = len(answers)
    predictions = [answer["prediction"] for answer in answers]
    outputs: list[dict[str, Any]] = []
    decoder = spec.decode["decoder"]
    if decoder == "category":
        outputs.append({"name": "prediction", "shape": [size], "datatype": "BYTES", "data": predictions})
    elif decoder == "multi_category":
        joined = [";".join(labels) for labels in predictions]
        outputs.append({"name": "prediction", "shape": [size], "datatype": "BYTES", "data": joined})
    elif decoder == "segmentation":
        masks = [p["mask"] for p in predictions]
        outputs.append({"name": "prediction", "shape": [size], "datatype": "BYTES", "data": masks})
    elif decoder == "points":
        data = [number for points in predictions for point in points for number in point]
        shape = [size, len(predictions[0]) if predictions else 0, 2]
        outputs.append({"name": "prediction", "shape": shape, "datatype": "FP32", "data": data})
    else:
        rows = [p if isinstance(p, list) else [p] for p in predictions]
        width = len(rows[0]) if rows else 0
        flat = [value for row in rows for value in row]
        outputs.append({"name": "prediction", "shape": [size, width], "datatype": "FP32", "data": flat})
    if "top" in spec.decode:
        outputs += _largest(answers)
    elif "vocab" in spec.decode:
        labels = [str(label) for label in spec.decode["vocab"]]
        probabilities = {
            "name": "probabilities",
            "shape": [size, len(labels)],
            "datatype": "FP32",
            "parameters": {"labels": ";".join(labels)},
            "data": [answer["probabilities"][label] for answer in answers for label in labels],
        }
        outputs.append(probabilities)
    if any(answer["warnings"] for answer in answers):
        warnings = [orjson.dumps(answer["warnings"]).decode() for answer in answers]
        outputs.append({"name": "warnings", "shape": [size], "datatype": "BYTES", "data": warnings})
    response = {"model_name": spec.name, "model_version": spec.version, "outputs": outputs}
    return response | {"id": sendable(request["id"])} if isinstance(request.get("id"), str) else response


def _largest(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``labels`` and ``probabilities`` [N, K] where answers tell the K largest only, the largest first."""
    told = [list(answer["probabilities"].items()) for answer in answers]
    shape = [len(told), len(told[0]) if told else 0]
    labels = [label for row in told for label, _ in row]
    values = [value for row in told for _, value in row]
    return [
        {"name": "labels", "shape": shape, "datatype": "BYTES", "data": labels},
        {"name": "probabilities", "shape": shape, "datatype": "FP32", "data": values},
    ]


def refuse(error: dict[str, Any]) -> dict[str, Any]:
    """The body of a refusal, which the protocol wants to be one string."""
    record = error.get("record")
    where = "" if record is None else f"record {record}: "
    return {"error": f"{where}{error['message']} Fix: {error['fix']}"}
