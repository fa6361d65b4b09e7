"""Open Inference Protocol v2 (``/v2/models/NAME/infer``): one input tensor per column, one output tensor per answer
part.

Specification: https://github.com/kserve/open-inference-protocol. The protocol has no errors of single records: if a
record can't be scored, the whole request is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from fastmar_contract.display import json_safe, short_repr
from fastmar_contract.errors import RequestError
from fastmar_runtime.answers import OutputTensor, answer_kind
from fastmar_runtime.bodies import tensors
from fastmar_runtime.bodies.tensors import BINARY_SIZE, BYTES, Binary, bad_tensor
from fastmar_runtime.modalities import modality
from fastmar_runtime.spec import Spec

JSON_LENGTH = "inference-header-content-length"  # header: number of bytes of JSON before binary tensors
BINARY_TYPE = "application/octet-stream"
WARNINGS = "warnings"  # an output of every model

Answers = Sequence[dict[str, Any]]

_FIX = 'send {"inputs": [{"name": COLUMN, "shape": [N], "datatype": ..., "data": [...]}, ...]}, each with N values.'


def split(body: bytes, length: str) -> tuple[bytes, bytes]:
    """Split a body into its JSON and the binary tensors after it; `length` is the value of the header.

    Raises:
        RequestError: the header is not a number of bytes within the body.
    """
    if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= len(body)):
        raise RequestError(
            f"Inference-Header-Content-Length is {short_repr(length)}, but the body has {len(body):,} bytes.",
            fix="send the number of bytes of the JSON before the binary data.",
        )
    return body[: int(length)], body[int(length) :]


def read(data: Any, spec: Spec, max_records: int | None = None, binary: bytes = b"") -> list[dict[str, Any]]:
    """Records from the tensors of an inference request; null is a missing value, also in BYTES tensors.

    Args:
        data: the request's JSON.
        spec: the spec of the model.
        max_records: number of records to stop at; None for all.
        binary: data after the JSON.

    Raises:
        RequestError: a tensor has no name or data, its data does not match its shape or datatype, tensors have
            different lengths, or an unknown output is requested.
    """
    inputs = data.get("inputs") if isinstance(data, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("the request has no inputs.", fix=_FIX)
    _check_outputs(data, spec)
    rest = Binary(binary)
    kind = modality(spec.kind)
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise RequestError("an input has no name.", fix=_FIX)
        name = tensor["name"]
        if name in columns:
            raise RequestError(f"input {name!r} is repeated.", fix=_FIX)
        columns[name] = kind.tensor_values(name, tensors.read(tensor, rest))
    rest.check_end()
    (first, size), *others = ((name, len(values)) for name, values in columns.items())
    for name, length in others:
        if length != size:
            raise RequestError(f"inputs have different lengths: {first!r} {size}, {name!r} {length}.", fix=_FIX)
    rows = islice(zip(*columns.values(), strict=True), max_records)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _check_outputs(request: dict[str, Any], spec: Spec) -> None:
    """Raise `RequestError` for unknown outputs."""
    outputs = request.get("outputs")
    if outputs is None:
        return
    names = _output_names(spec)
    if not isinstance(outputs, list) or not all(
        isinstance(o, dict) and isinstance(o.get("name"), str) for o in outputs
    ):
        raise RequestError(
            "outputs must be a list of objects with names.", fix='send [{"name": "prediction"}], or omit it.'
        )
    for output in outputs:
        if output["name"] not in names:
            raise bad_tensor(f"the model has no output {short_repr(output['name'])}.", f"request {' or '.join(names)}.")


def _output_names(spec: Spec) -> list[str]:
    return [*(tensor.name for tensor in answer_kind(spec.decode).tensors(spec.decode)), WARNINGS]


def respond(request: dict[str, Any], answers: Answers, spec: Spec) -> tuple[bytes, dict[str, str]]:
    """The response's body, and its headers if it has binary tensors."""
    response = write(request, answers, spec)
    default = bool(_parameters(request).get("binary_data_output"))
    is_binary = {o["name"]: _parameters(o).get("binary_data", default) for o in request.get("outputs") or ()}
    data = []
    for output in response["outputs"]:
        if is_binary.get(output["name"], default):
            data.append(tensors.to_binary(output))
            output["parameters"] = {**_parameters(output), BINARY_SIZE: len(data[-1])}
            del output["data"]
    head = orjson.dumps(response)
    return (head + b"".join(data), {"Inference-Header-Content-Length": str(len(head))}) if data else (head, {})


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    found = tensor.get("parameters")
    return found if isinstance(found, dict) else {}


def write(request: dict[str, Any], answers: Answers, spec: Spec) -> dict[str, Any]:
    """The inference response as JSON, with the requested outputs.

    By default these are the outputs in the model's metadata, and ``warnings`` [N] if an answer has a warning; each
    element is a JSON list as text.
    """
    requested = [output["name"] for output in request.get("outputs") or ()]
    known = answer_kind(spec.decode).tensors(spec.decode)
    outputs = [tensor.response(answers) for tensor in known if not requested or tensor.name in requested]
    if WARNINGS in requested or (not requested and any(answer["warnings"] for answer in answers)):
        outputs.append(_WARNINGS.response(answers))
    response = {"model_name": spec.name, "model_version": spec.version, "outputs": outputs}
    return response | {"id": json_safe(request["id"])} if isinstance(request.get("id"), str) else response


def _warning_texts(answers: Sequence[dict[str, Any]]) -> list[Any]:
    return [orjson.dumps(answer["warnings"]).decode() for answer in answers]


_WARNINGS = OutputTensor(WARNINGS, BYTES, (-1,), _warning_texts)


def refuse(error: dict[str, Any]) -> dict[str, Any]:
    """The body of an error, which must be a string in this protocol."""
    record = error.get("record")
    where = "" if record is None else f"record {record}: "
    return {"error": f"{where}{error['message']} Fix: {error['fix']}"}
