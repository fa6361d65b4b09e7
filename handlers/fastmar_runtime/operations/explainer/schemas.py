"""Schemas of records that request an explanation, and of explanations; see `what_if` and `occlusion`."""

from __future__ import annotations

from fastmar_runtime.answers import answer_kind
from fastmar_runtime.modalities import modality
from fastmar_runtime.operations.explainer.what_if import EXPLAIN
from fastmar_runtime.record_schemas import declarable
from fastmar_runtime.schema_parts import FLOAT, FLOATS, JSON, TEXT, open_object, ref
from fastmar_runtime.spec import Spec

COMPONENTS = {EXPLAIN: ("ExplainRequest", "Explanation")}
"""OpenAPI components of the record and of the answer, by option."""

_TEXTS = {
    "answer": "the prediction for the record",
    "outcome": "the predicted label, or the name of the target",
    "value": "the probability of the label, or the predicted number",
    "columns": "the columns of the record, the one with the largest effect first",
    "typical": "the value with which the column is compared",
    "effect": "`value` minus what it would be with the typical value",
    "curve": "what `value` would be with other values of the column",
    "area": "what the network sees: left, top, right, bottom, in pixels of the picture that was sent",
    "grid": "rows of cells of the area: `value` minus what it would be without the cell",
}
_EXPLAIN = {"type": "boolean", "enum": [True], "description": "whether to explain the answer"}
_ANY: JSON = {"nullable": True}
_CURVE_POINT: JSON = {"type": "object", "properties": {"value": {}, "outcome": {"type": "number"}}}
_COLUMN: JSON = {
    "column": {"type": "string"},
    "sent": {},
    "typical": {"description": _TEXTS["typical"]},
    "effect": {"type": ["number", "null"], "description": _TEXTS["effect"]},
    "curve": {"type": "array", "items": _CURVE_POINT, "description": _TEXTS["curve"]},
}
_COLUMNS: JSON = {
    "type": "array",
    "items": {"type": "object", "properties": _COLUMN, "required": [*_COLUMN]},
    "description": _TEXTS["columns"],
}
_NUMBERS: JSON = {"type": "array", "items": {"type": "number"}}
_PICTURE_PARTS: JSON = {
    "area": {**_NUMBERS, "description": _TEXTS["area"]},
    "grid": {"type": "array", "items": _NUMBERS, "description": _TEXTS["grid"]},
}


def describe_explanation(spec: Spec) -> JSON:
    """The JSON Schemas of a record with the option, and of its answer."""
    records = modality(spec.kind).record_schema(spec)
    asked = {"type": "boolean", "const": True, "description": _EXPLAIN["description"]}
    record = {key: value for key, value in records.items() if key != "examples"}
    record["properties"] = {**records["properties"], EXPLAIN: asked}
    record["required"] = [*records["required"], EXPLAIN]
    answer = {
        "answer": {"type": "object", "description": _TEXTS["answer"]},
        "outcome": {"type": "string", "description": _TEXTS["outcome"]},
        "value": {"type": "number", "description": _TEXTS["value"]},
        **(_PICTURE_PARTS if spec.kind == "vision" else {"columns": _COLUMNS}),
        "warnings": {"type": "array"},
    }
    return {EXPLAIN: {"record": record, "answer": {"type": "object", "properties": answer, "required": [*answer]}}}


def explanation_components(spec: Spec) -> JSON:
    """OpenAPI schemas of a record with the option, of its answer, and of the parts of the answer, by name."""
    request, explanation = COMPONENTS[EXPLAIN]
    record = modality(spec.kind).component(spec)
    if "properties" in record and declarable([*record["properties"], EXPLAIN]):
        record = {**record, "properties": {**record["properties"], EXPLAIN: _EXPLAIN}}
        record["required"] = [*record.get("required", ()), EXPLAIN]
    warnings = {"type": "array", "items": ref("AnswerWarning")}
    point = {"value": _ANY, "outcome": {**FLOAT, "description": _TEXTS["value"]}}
    column = {
        "column": TEXT,
        "sent": _ANY,
        "typical": {**_ANY, "description": _TEXTS["typical"]},
        "effect": {**FLOAT, "nullable": True, "description": _TEXTS["effect"]},
        "curve": {"type": "array", "items": ref("CurvePoint"), "description": _TEXTS["curve"]},
    }
    is_picture = spec.kind == "vision"
    parts: JSON = {"columns": {"type": "array", "items": ref("ExplainedColumn"), "description": _TEXTS["columns"]}}
    if is_picture:
        parts = {
            "area": {**FLOATS, "description": _TEXTS["area"]},
            "grid": {"type": "array", "items": FLOATS, "description": _TEXTS["grid"]},
        }
    answer = {
        "answer": open_object(answer_kind(spec.decode).component(spec.decode, spec.targets), ()),
        "outcome": {**TEXT, "description": _TEXTS["outcome"]},
        "value": {**FLOAT, "description": _TEXTS["value"]},
        **parts,
        "warnings": warnings,
    }
    found = {request: record, explanation: open_object(answer, [*answer])}
    if is_picture:
        return found
    return {
        **found,
        "ExplainedColumn": open_object(column, ("column", "curve")),
        "CurvePoint": open_object(point, ("outcome",)),
    }


def explanation_example(spec: Spec) -> JSON:
    """A plausible record with the option."""
    return {**modality(spec.kind).example(spec), EXPLAIN: True}
