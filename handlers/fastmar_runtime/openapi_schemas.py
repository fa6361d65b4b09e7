"""Component schemas of the OpenAPI documents, in the subset of JSON Schema that client generators handle.

`schema.py` describes records and answers exactly. Generators turn that into code that does not compile, or that loses
values: alternatives (`anyOf`), property names that differ only in punctuation (`<50k` and `>=50k`), enums of labels,
several types of one value. Here each value has one type, and labels are keys of a map.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.schema import plain, record_schema
from fastmar_runtime.schema_parts import (
    COUNT,
    FLOAT,
    JSON,
    TEXT,
    TEXTS,
    closed_object,
    in_comment,
    named,
    open_object,
    ref,
)
from fastmar_runtime.spec import IMAGE, VISION, Field, Spec

RECORD, ANSWER, RESULT, ERROR, ERROR_TEXT = "InputRecord", "Answer", "RecordResult", "ErrorResponse", "ErrorText"
RECORDS, RESULTS = "RecordList", "ResultList"
INFER_REQUEST, INFER_RESPONSE, METADATA = "InferRequest", "InferResponse", "ModelMetadata"

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mNsYIAAJgaKGAAmCACQtTEKkQAAAABJRU5ErkJggg=="
"""A grey picture of 8 by 8 pixels, for examples."""


def components(spec: Spec) -> JSON:
    """All component schemas by name. `nullable` stands for OpenAPI 3.0 and is rewritten for 3.1."""
    required, optional = _answer(spec)
    error = ref("ErrorDetail")
    return {
        RECORD: _record(spec),
        ANSWER: open_object({**required, **optional}, required),
        RESULT: {
            **open_object({**required, **optional, "error": error}, ()),
            "description": "the answer to one record of a list, or `error` alone where that record was refused",
        },
        RECORDS: closed_object({"instances": {"type": "array", "items": ref(RECORD)}}, ("instances",)),
        RESULTS: closed_object({"predictions": {"type": "array", "items": ref(RESULT)}}, ("predictions",)),
        **answer_kind(spec.decode).component_schemas(),
        **shared(),
    }


def example_record(spec: Spec) -> JSON:
    """A plausible record: the schema's own example, else the default of each column."""
    if spec.kind == VISION:
        return {IMAGE: _PNG}
    examples = record_schema(spec).get("examples")
    if examples and isinstance(examples[0], dict):
        return dict(examples[0])
    return {f.name: _example(f) for f in spec.fields if not f.optional or f.kind == DATE}


def _example(field: Field) -> Any:
    if field.default is not None:
        return plain(field.default)
    if field.kind == CATEGORY:
        return plain(field.categories[0]) if field.categories else None
    return "2024-01-31" if field.kind == DATE else 0.0


def _record(spec: Spec) -> JSON:
    if spec.kind == VISION:
        return _picture_record(spec)
    exact = record_schema(spec)["properties"]
    notes = ["One record: a value for each column.", *(_date_note(f) for f in spec.fields if f.kind == DATE)]
    if not declarable([f.name for f in spec.fields]):
        notes.append(f"A map, since its columns are no distinct names in all languages: {_names(spec)}.")
        columns = {f.name: exact[f.name].get("x-fastmar", {}) for f in spec.fields}
        return {"type": "object", "additionalProperties": True, "description": " ".join(notes), "x-columns": columns}
    properties = {f.name: _column(f, exact[f.name]) for f in spec.fields}
    required = [f.name for f in spec.fields if not f.optional]
    return {**closed_object(properties, required), "description": " ".join(notes)}


def _names(spec: Spec) -> str:
    return named([f.name for f in spec.fields])


def _date_note(field: Field) -> str:
    names = " or ".join(in_comment(repr(name)) for name in (field.name, *field.aliases))
    return f"The date is sent as {names}; parts of it that are absent are computed."


def declarable(names: list[str]) -> bool:
    """Whether all names become distinct identifiers in every language; generators drop or confuse others."""
    seen = Counter(map(_identifier, names))
    taken = _MEMBERS.union(*(_accessors(name) for name in seen))
    return len(seen) == len(names) and not taken & seen.keys() and all(map(_SAFE.fullmatch, names))


_SAFE = re.compile(r"""[^\W_][^\x00-\x1f"'`\\$*/{}<>#@%;\x7f]*""", re.ASCII)
_MEMBERS = frozenset(  # of the classes that generators write
    ("additionalproperties", "additionalkeys", "fromdict", "todict", "tomap", "marshaljson", "unmarshaljson")
)


def _identifier(name: str) -> str:
    """What the least exact generator makes of a name."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _accessors(identifier: str) -> set[str]:
    """Methods that Go's generator adds for a field."""
    patterns = ("get{}", "get{}ok", "has{}", "set{}", "set{}nil", "unset{}")
    return {pattern.format(identifier) for pattern in patterns}


def _column(field: Field, exact: JSON) -> JSON:
    """One type for one column. Booleans that a number accepts and other types of a category are not declared."""
    schema: JSON = {NUMBER: FLOAT, DATE: TEXT}.get(field.kind) or _category_type(field)
    description = exact.get("description", "")
    if field.kind == CATEGORY and field.categories:
        description += f": {named([plain(value) for value in field.categories])}"
    return {
        **schema,
        **({"nullable": True} if field.nullable or field.kind == CATEGORY else {}),
        **({"description": description} if description else {}),
        **{key: value for key, value in exact.items() if key.startswith("x-")},
    }


def _category_type(field: Field) -> JSON:
    kinds = {type(plain(value)) for value in field.categories}
    if kinds == {bool}:
        return {"type": "boolean"}
    if kinds == {int}:
        return {"type": "integer", "format": "int64"}
    if kinds and kinds <= {int, float}:
        return dict(FLOAT)
    return dict(TEXT) if kinds <= {str} else {}  # of several types: any value


def _picture_record(spec: Spec) -> JSON:
    exact = record_schema(spec)["properties"]
    properties: JSON = {
        IMAGE: {
            **TEXT,
            "description": exact[IMAGE]["description"],
            "x-fastmar": exact[IMAGE]["x-fastmar"],
        },
        "name": {**TEXT, "description": "name of the picture; the answer repeats it"},
    }
    properties |= answer_kind(spec.decode).component_options()
    return {**closed_object(properties, (IMAGE,)), "description": "One picture."}


def _answer(spec: Spec) -> tuple[JSON, JSON]:
    """Properties that every answer has, and those that some have."""
    required = answer_kind(spec.decode).component(spec.decode, spec.targets)
    required["warnings"] = {"type": "array", "items": ref("AnswerWarning")}
    return required, {"name": TEXT} if spec.kind == VISION else {}


def shared() -> JSON:
    """Schemas that are the same for every model."""
    any_value: JSON = {"nullable": True}
    nullable_text: JSON = {**TEXT, "nullable": True}
    tensor: JSON = {
        "name": TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "format": "int64"}},
        "datatype": {**TEXT, "description": "BYTES, BOOL, INT64, FP32, FP64, ..."},
    }
    data = {"data": {"type": "array", "items": any_value}}
    parameters = {"parameters": {"type": "object", "additionalProperties": True}}
    fault: JSON = {
        "code": {**TEXT, "description": "name of the problem, for programs"},
        "field": {**nullable_text, "description": "the column that the problem is in"},
        "message": {**TEXT, "description": "what was found, and where"},
        "fix": {**TEXT, "description": "what to do about it"},
    }
    return {
        "AnswerWarning": open_object(
            {"field": nullable_text, "code": TEXT, "value": any_value, "message": TEXT}, ("code", "message")
        ),
        "Fault": open_object(fault, ("code", "message", "fix")),
        "ErrorDetail": open_object(
            {
                **fault,
                "record": {**COUNT, "nullable": True, "description": "position of the record, from 0"},
                "errors": {"type": "array", "items": ref("Fault"), "description": "all faults, if there are several"},
            },
            ("code", "message", "fix"),
        ),
        ERROR: open_object({"error": ref("ErrorDetail")}, ("error",)),
        ERROR_TEXT: open_object({"error": TEXT}, ("error",)),
        "InputTensor": closed_object({**tensor, **data, **parameters}, [*tensor, *data]),
        "OutputTensor": open_object({**tensor, **data, **parameters}, [*tensor, *data]),
        "TensorMetadata": closed_object(tensor, tensor),
        INFER_REQUEST: closed_object(
            {"id": TEXT, "inputs": {"type": "array", "items": ref("InputTensor")}}, ("inputs",)
        ),
        INFER_RESPONSE: open_object(
            {
                "model_name": TEXT,
                "model_version": TEXT,
                "id": TEXT,
                "outputs": {"type": "array", "items": ref("OutputTensor")},
            },
            ("model_name", "outputs"),
        ),
        METADATA: open_object(
            {
                "name": TEXT,
                "versions": TEXTS,
                "platform": TEXT,
                "inputs": {"type": "array", "items": ref("TensorMetadata")},
                "outputs": {"type": "array", "items": ref("TensorMetadata")},
            },
            ("name", "platform", "inputs", "outputs"),
        ),
    }
