"""OpenAPI documents of a model's HTTP paths, for people, tools and client generators.

Each path has one kind of body, so that generated clients have typed arguments and answers. The other bodies that
`/predictions/NAME` accepts (lists, CSV, JSON lines) are listed in the description of the operation.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from fastmar_contract.values import NUMBER
from fastmar_runtime.modalities import modality
from fastmar_runtime.openapi_schemas import (
    ANSWER,
    ERROR,
    ERROR_TEXT,
    INFER_REQUEST,
    INFER_RESPONSE,
    METADATA,
    RECORD,
    RECORDS,
    RESULTS,
    components,
    example_record,
)
from fastmar_runtime.operations.kinds import PREDICT_FILE, kind_of
from fastmar_runtime.schema_parts import JSON, comment_safe, ref
from fastmar_runtime.spec import Spec

V31, V30 = "3.1.0", "3.0.3"
KEY = "bearerKey"
JSON_TYPE = "application/json"

ERRORS = {
    "400": "The request or the record was refused; the body has the error and its fix.",
    "401": "The key is missing or wrong.",
    "404": "The model, version or path does not exist.",
    "413": "The body or its response is too large, or the body has too many records.",
    "415": "The body's encoding is not supported.",
    "500": "The server failed on this request.",
    "503": "No worker of the model is ready.",
}


def openapi(spec: Spec, dialect: str = V31) -> JSON:
    """The OpenAPI document of a model, in version 3.1.0 or 3.0.3."""
    schemas = components(spec)
    if dialect == V31:
        schemas = {name: _with_null_types(schema) for name, schema in schemas.items()}
    return {
        "openapi": dialect,
        "info": {
            "title": comment_safe(spec.name),
            "version": spec.version,
            "description": "A fastai model, served by fastmar.",
        },
        "servers": [
            {"url": "/", "description": "the server that this document comes from"},
            {"url": "http://127.0.0.1:8080", "description": "`fastmar serve` on this machine"},
        ],
        "security": [{}, {KEY: []}],
        "tags": [{"name": "predictions", "description": "Predictions of the model."}],
        "paths": _paths(spec),
        "components": {
            "schemas": schemas,
            "responses": {f"Error{status}": _error(text, ERROR) for status, text in ERRORS.items()}
            | {f"InferError{status}": _error(text, ERROR_TEXT) for status, text in ERRORS.items()},
            "securitySchemes": {
                KEY: {"type": "http", "scheme": "bearer", "description": "Required if the server uses keys."}
            },
        },
    }


def _with_null_types(schema: Any) -> Any:
    """Convert a component schema to JSON Schema 2020-12, where null is a type instead of `nullable`."""
    if not isinstance(schema, dict):
        return schema
    converted = {key: value for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") and "type" in schema:
        converted["type"] = [schema["type"], "null"]
    for key in ("items", "additionalProperties"):
        if key in schema:
            converted[key] = _with_null_types(schema[key])
    if "properties" in schema:
        converted["properties"] = {name: _with_null_types(each) for name, each in schema["properties"].items()}
    return converted


def _paths(spec: Spec) -> JSON:
    """The paths of the model and of its version, with the same operations."""
    name = quote(spec.name, safe="")
    version = f"versions/{quote(spec.version, safe='')}"
    example = example_record(spec)
    kind = modality(spec.kind)
    predict = _operation("predict", f"Predict one {kind.record}", _json(RECORD, example), ANSWER, kind.other_bodies)
    metadata = _operation(
        "model_metadata", "Names and types of the model's tensors", None, METADATA, errors="InferError"
    )
    paths: JSON = {
        f"/predictions/{name}": {"post": predict},
        f"/predictions/{name}/{quote(spec.version, safe='')}": {"post": _of_version(predict, spec)},
        f"/v1/models/{name}:predict": {"post": _predict_many(example)},
        f"/v2/models/{name}": {"get": metadata},
        f"/v2/models/{name}/{version}": {"get": _of_version(metadata, spec)},
    }
    posts = {f"/models/{name}{{}}/{each['operationId']}": each for each in _operations(spec)}
    posts[f"/v2/models/{name}{{}}/infer"] = _infer(spec, example)
    for path, operation in posts.items():
        paths[path.replace("{}", "")] = {"post": operation}
        paths[path.replace("{}", f"/{version}")] = {"post": _of_version(operation, spec)}
    return paths


def _of_version(operation: JSON, spec: Spec) -> JSON:
    """An operation on the path of the version."""
    summary = f"{operation['summary']}, with version {comment_safe(spec.version)}"
    return {**operation, "operationId": f"{operation['operationId']}_version", "summary": summary}


def _predict_many(example: JSON) -> JSON:
    return _operation(
        "predict_many",
        "Predict several records",
        _json(RECORDS, {"instances": [example]}),
        RESULTS,
        "Answers are in the order of the records. A refused record has `error` instead of its answer; the "
        "status is 400 only if all records were refused.",
    )


def _infer(spec: Spec, example: JSON) -> JSON:
    return _operation(
        "infer",
        "Predict several records as tensors (Open Inference Protocol v2)",
        _json(INFER_REQUEST, {"inputs": [_tensor(spec, key, value) for key, value in example.items()]}),
        INFER_RESPONSE,
        "One input tensor per column. If a record is refused, the whole request is refused.",
        "InferError",
    )


def _operations(spec: Spec) -> list[JSON]:
    """The operations that have a path of their own, because a path has one kind of body: the prediction of a file, and
    those that records request by options.
    """
    found = []
    predicts = modality(spec.kind)
    if parts := predicts.form_parts(spec):
        found.append(_operation(PREDICT_FILE, f"Predict one {predicts.record} file", _form(parts), ANSWER))
    if (kind := kind_of(spec)) is not None:
        text = "All paths of predictions accept this record, too, and lists of such records."
        for option in kind.options(spec):
            record, answer = kind.components[option]
            content = _json(record, kind.example(spec, option))
            found.append(_operation(option, kind.summaries[option], content, answer, text))
    return found


def _operation(
    name: str, summary: str, content: JSON | None, answer: str, description: str = "", errors: str = "Error"
) -> JSON:
    success = {"description": "The answer.", "content": {JSON_TYPE: {"schema": ref(answer)}}}
    refused = {status: {"$ref": f"#/components/responses/{errors}{status}"} for status in ERRORS}
    return {
        "operationId": name,
        "summary": summary,
        **({"description": description} if description else {}),
        "tags": ["predictions"],
        **({"requestBody": {"required": True, "content": content}} if content else {}),
        "responses": {"200": success, **refused},
    }


def _form(parts: JSON) -> JSON:
    """A form with one file, on a separate path, because generators confuse several media types of one path."""
    schema = {"type": "object", "properties": parts, "required": [next(iter(parts))]}
    return {"multipart/form-data": {"schema": schema}}


def _json(schema: str, example: Any) -> JSON:
    content: JSON = {"schema": ref(schema)}
    if b'"$ref"' not in orjson.dumps(example):  # tools resolve it as a reference, even in an example
        content["example"] = example
    return {JSON_TYPE: content}


def _tensor(spec: Spec, name: str, value: Any) -> JSON:
    numbers = {field.name for field in spec.fields if field.kind == NUMBER}
    return {"name": name, "shape": [1], "datatype": "FP64" if name in numbers else "BYTES", "data": [value]}


def _error(description: str, schema: str) -> JSON:
    return {"description": description, "content": {JSON_TYPE: {"schema": ref(schema)}}}
