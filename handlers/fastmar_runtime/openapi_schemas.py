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
from fastmar_runtime.pictures import MODEL_SIZE, ORIGINAL_SIZE
from fastmar_runtime.schema import MAX_LISTED, plain, record_schema
from fastmar_runtime.spec import IMAGE, VISION, Field, Spec

JSON = dict[str, Any]

RECORD, ANSWER, RESULT, ERROR, ERROR_TEXT = "InputRecord", "Answer", "RecordResult", "ErrorResponse", "ErrorText"
RECORDS, RESULTS = "RecordList", "ResultList"
INFER_REQUEST, INFER_RESPONSE, METADATA = "InferRequest", "InferResponse", "ModelMetadata"

NAMED = 20  # categories or labels that a description names
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mNsYIAAJgaKGAAmCACQtTEKkQAAAABJRU5ErkJggg=="
"""A grey picture of 8 by 8 pixels, for examples."""

_TEXT: JSON = {"type": "string"}
_NUMBER: JSON = {"type": "number", "format": "double"}
_COUNT: JSON = {"type": "integer", "format": "int64", "minimum": 0}
_TEXTS: JSON = {"type": "array", "items": _TEXT}
_NUMBERS: JSON = {"type": "array", "items": _NUMBER}
_POINTS: JSON = {"type": "array", "items": _NUMBERS}


def ref(name: str) -> JSON:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def components(spec: Spec) -> JSON:
    """All component schemas by name. `nullable` stands for OpenAPI 3.0 and is rewritten for 3.1."""
    required, optional = _answer(spec)
    error = ref("ErrorDetail")
    return {
        RECORD: _record(spec),
        ANSWER: _open({**required, **optional}, required),
        RESULT: {
            **_open({**required, **optional, "error": error}, ()),
            "description": "the answer to one record of a list, or `error` alone where that record was refused",
        },
        RECORDS: _object({"instances": {"type": "array", "items": ref(RECORD)}}, ("instances",)),
        RESULTS: _object({"predictions": {"type": "array", "items": ref(RESULT)}}, ("predictions",)),
        **({"Mask": _mask(), "MaskClass": _mask_class()} if spec.decode["decoder"] == "segmentation" else {}),
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


def _object(properties: JSON, required: Any) -> JSON:
    return {"type": "object", "properties": properties, **({"required": [*required]} if required else {})}


def _open(properties: JSON, required: Any) -> JSON:
    """An object of an answer. Go's generator refuses properties that are added later unless they are allowed here."""
    return {**_object(properties, required), "additionalProperties": True}


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
    return {**_object(properties, required), "description": " ".join(notes)}


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
    schema: JSON = {NUMBER: _NUMBER, DATE: _TEXT}.get(field.kind) or _category_type(field)
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
        return dict(_NUMBER)
    return dict(_TEXT) if kinds <= {str} else {}  # of several types: any value


def named(values: list[Any]) -> str:
    """The first of `values` in words, and how many there are."""
    text = ", ".join(in_comment(repr(value)) for value in values[:NAMED])
    return text if len(values) <= NAMED else f"{text}, and {len(values) - NAMED:,} more"


def in_comment(text: str) -> str:
    """`text` as it may stand in a comment of generated code, which it must not end or escape from."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"', "'")
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", text)


def _picture_record(spec: Spec) -> JSON:
    exact = record_schema(spec)["properties"]
    properties: JSON = {
        IMAGE: {
            **_TEXT,
            "description": exact[IMAGE]["description"],
            "x-fastmar": exact[IMAGE]["x-fastmar"],
        },
        "name": {**_TEXT, "description": "name of the picture; the answer repeats it"},
    }
    if spec.decode["decoder"] == "segmentation":
        properties["mask_size"] = MASK_SIZE
    return {**_object(properties, (IMAGE,)), "description": "One picture."}


MASK_SIZE: JSON = {**_TEXT, "enum": [MODEL_SIZE, ORIGINAL_SIZE], "description": "size of the mask in the answer"}


def _answer(spec: Spec) -> tuple[JSON, JSON]:
    """Properties that every answer has, and those that some have."""
    decode, decoder = spec.decode, spec.decode["decoder"]
    required: JSON = {}
    if decoder in ("category", "multi_category"):
        labels = [str(label) for label in decode["vocab"]]
        one: JSON = {**_TEXT, "description": f"one of {named(labels)}", "x-labels": labels[:MAX_LISTED]}
        required["prediction"] = one if decoder == "category" else {**_TEXTS, "description": f"of {named(labels)}"}
        if decoder == "category":
            required["index"] = {**_COUNT, "description": "number of the label, from 0"}
        required["probabilities"] = _probabilities(labels, decode.get("top"))
    elif decoder == "regression" and decode["size"] == 1:
        required["prediction"] = {**_NUMBER, "description": named([*spec.targets])}
    elif decoder == "points":
        required["prediction"] = {**_POINTS, "description": "[x, y] of each point in pixels of the picture sent"}
        required["points_model"] = {**_POINTS, "description": "the same in pixels of the network's input"}
    elif decoder == "segmentation":
        required["prediction"] = ref("Mask")
    else:
        required["prediction"] = {**_NUMBERS, "description": f"a number for each of {named([*spec.targets])}"}
    required["warnings"] = {"type": "array", "items": ref("AnswerWarning")}
    return required, {"name": _TEXT} if spec.kind == VISION else {}


def _probabilities(labels: list[str], top: int | None) -> JSON:
    """A map, since labels are no identifiers: `<50k` and `>=50k` are one name to most generators."""
    which = f"for the {top} most probable of {len(labels):,} labels" if top else f"by label: {named(labels)}"
    return {
        "type": "object",
        "description": f"probabilities {which}",
        "additionalProperties": _NUMBER,
        "x-labels": labels[:MAX_LISTED],
    }


def _mask() -> JSON:
    properties = {
        "mask": {**_TEXT, "description": "a grey PNG in base64 whose values are the indexes of the classes"},
        "width": _COUNT,
        "height": _COUNT,
        "classes": {"type": "array", "items": ref("MaskClass")},
    }
    return _object(properties, properties)


def _mask_class() -> JSON:
    name = {**_TEXT, "nullable": True, "description": "null for pixels that were cut away before the network saw them"}
    properties = {"index": _COUNT, "name": name, "pixels": _COUNT}
    return _object(properties, properties)


def shared() -> JSON:
    """Schemas that are the same for every model."""
    any_value: JSON = {"nullable": True}
    nullable_text: JSON = {**_TEXT, "nullable": True}
    tensor: JSON = {
        "name": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "format": "int64"}},
        "datatype": {**_TEXT, "description": "BYTES, BOOL, INT64, FP32, FP64, ..."},
    }
    data = {"data": {"type": "array", "items": any_value}}
    parameters = {"parameters": {"type": "object", "additionalProperties": True}}
    fault: JSON = {
        "code": {**_TEXT, "description": "name of the problem, for programs"},
        "field": {**nullable_text, "description": "the column that the problem is in"},
        "message": {**_TEXT, "description": "what was found, and where"},
        "fix": {**_TEXT, "description": "what to do about it"},
    }
    return {
        "AnswerWarning": _open(
            {"field": nullable_text, "code": _TEXT, "value": any_value, "message": _TEXT}, ("code", "message")
        ),
        "Fault": _open(fault, ("code", "message", "fix")),
        "ErrorDetail": _open(
            {
                **fault,
                "record": {**_COUNT, "nullable": True, "description": "position of the record, from 0"},
                "errors": {"type": "array", "items": ref("Fault"), "description": "all faults, if there are several"},
            },
            ("code", "message", "fix"),
        ),
        ERROR: _open({"error": ref("ErrorDetail")}, ("error",)),
        ERROR_TEXT: _open({"error": _TEXT}, ("error",)),
        "InputTensor": _object({**tensor, **data, **parameters}, [*tensor, *data]),
        "OutputTensor": _open({**tensor, **data, **parameters}, [*tensor, *data]),
        "TensorMetadata": _object(tensor, tensor),
        INFER_REQUEST: _object({"id": _TEXT, "inputs": {"type": "array", "items": ref("InputTensor")}}, ("inputs",)),
        INFER_RESPONSE: _open(
            {
                "model_name": _TEXT,
                "model_version": _TEXT,
                "id": _TEXT,
                "outputs": {"type": "array", "items": ref("OutputTensor")},
            },
            ("model_name", "outputs"),
        ),
        METADATA: _open(
            {
                "name": _TEXT,
                "versions": _TEXTS,
                "platform": _TEXT,
                "inputs": {"type": "array", "items": ref("TensorMetadata")},
                "outputs": {"type": "array", "items": ref("TensorMetadata")},
            },
            ("name", "platform", "inputs", "outputs"),
        ),
    }
