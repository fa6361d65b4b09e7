"""Open Inference Protocol v2 (``/v2/models/NAME/infer``): an input tensor a column, an output tensor an answer's part.

https://github.com/kserve/open-inference-protocol gives the format. It has no place for an error of one record: a
request with a record that can not be scored is refused whole.
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

JSON_LENGTH = "inference-header-content-length"  # header: bytes of JSON in front of binary tensors
BINARY_TYPE = "application/octet-stream"
WARNINGS = "warnings"  # output that every model has

Answers = Sequence[dict[str, Any]]

_FIX = 'send {"inputs": [{"name": COLUMN, "shape": [N], "datatype": ..., "data": [...]}, ...]}, each with N values.'


def split(body: bytes, length: str) -> tuple[bytes, bytes]:
    """The JSON of a request with binary tensors, and the bytes behind it; `length` is the header's value.

    Raises:
        RequestError: the header is no length of a part of the body.
    """
    if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= len(body)):
        raise RequestError(
            f"Inference-Header-Content-Length is {short_repr(length)}, and the body has {len(body):,} bytes.",
            fix="send the number of bytes of JSON in front of the binary data.",
        )
    return body[: int(length)], body[int(length) :]


def read(data: Any, spec: Spec, max_records: int | None = None, binary: bytes = b"") -> list[dict[str, Any]]:
    """Records out of the tensors of an inference request; null stands for a missing value, also in a BYTES tensor.

    Args:
        data: the request's JSON.
        spec: of the model.
        max_records: records to stop at; None makes all.
        binary: what follows the JSON.

    Raises:
        RequestError: a tensor has no name or data, data and shape or datatype don't agree, the tensors differ in
            length, or an output is requested that the model does not have.
    """
    inputs = data.get("inputs") if isinstance(data, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("the request has no inputs.", fix=_FIX)
    _check_outputs(data, spec)
    rest = Binary(binary)
    reads = modality(spec.kind)
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise RequestError("an input has no name.", fix=_FIX)
        name = tensor["name"]
        if name in columns:
            raise RequestError(f"input {name!r} is there twice.", fix=_FIX)
        columns[name] = reads.tensor_values(name, tensors.read(tensor, rest))
    rest.check_end()
    (first, size), *others = ((name, len(values)) for name, values in columns.items())
    for name, length in others:
        if length != size:
            raise RequestError(f"inputs differ in length: {first!r} {size}, {name!r} {length}.", fix=_FIX)
    rows = islice(zip(*columns.values(), strict=True), max_records)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _check_outputs(request: dict[str, Any], spec: Spec) -> None:
    """Refuse outputs that the model does not have."""
    outputs = request.get("outputs")
    if outputs is None:
        return
    names = _output_names(spec)
    if not isinstance(outputs, list) or not all(
        isinstance(o, dict) and isinstance(o.get("name"), str) for o in outputs
    ):
        raise RequestError("outputs is no list of names.", fix='send [{"name": "prediction"}], or leave it out.')
    for output in outputs:
        if output["name"] not in names:
            raise bad_tensor(f"the model has no output {short_repr(output['name'])}.", f"ask for {' or '.join(names)}.")


def _output_names(spec: Spec) -> list[str]:
    return [*(tensor.name for tensor in answer_kind(spec.decode).tensors(spec.decode)), WARNINGS]


def respond(request: dict[str, Any], answers: Answers, spec: Spec) -> tuple[bytes, dict[str, str]]:
    """The response's body, and its headers where it has binary tensors."""
    response = write(request, answers, spec)
    everything = bool(_parameters(request).get("binary_data_output"))
    asked = {o["name"]: _parameters(o).get("binary_data", everything) for o in request.get("outputs") or ()}
    data = []
    for output in response["outputs"]:
        if asked.get(output["name"], everything):
            data.append(tensors.to_binary(output))
            output["parameters"] = {**_parameters(output), BINARY_SIZE: len(data[-1])}
            del output["data"]
    head = orjson.dumps(response)
    return (head + b"".join(data), {"Inference-Header-Content-Length": str(len(head))}) if data else (head, {})


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    found = tensor.get("parameters")
    return found if isinstance(found, dict) else {}


def write(request: dict[str, Any], answers: Answers, spec: Spec) -> dict[str, Any]:
    """The inference response in JSON, one output for each part of the answers that was requested.

    Those of the kind of answer, which the model's metadata lists; and where an answer has a warning or they are
    requested, ``warnings`` [N], each a JSON list.
    """
    asked = [output["name"] for output in request.get("outputs") or ()]
    known = answer_kind(spec.decode).tensors(spec.decode)
    outputs = [tensor.response(answers) for tensor in known if not asked or tensor.name in asked]
    if WARNINGS in asked or (not asked and any(answer["warnings"] for answer in answers)):
        outputs.append(_WARNINGS.response(answers))
    response = {"model_name": spec.name, "model_version": spec.version, "outputs": outputs}
    return response | {"id": json_safe(request["id"])} if isinstance(request.get("id"), str) else response


def _warning_texts(answers: Sequence[dict[str, Any]]) -> list[Any]:
    return [orjson.dumps(answer["warnings"]).decode() for answer in answers]


_WARNINGS = OutputTensor(WARNINGS, BYTES, (-1,), _warning_texts)


def refuse(error: dict[str, Any]) -> dict[str, Any]:
    """The body of a refusal, which the protocol wants to be one string."""
    record = error.get("record")
    where = "" if record is None else f"record {record}: "
    return {"error": f"{where}{error['message']} Fix: {error['fix']}"}
