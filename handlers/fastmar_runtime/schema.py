"""JSON Schema of a record and of an answer, from a bundle's spec."""

from __future__ import annotations

from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime import picture_schemas
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.schema_parts import JSON, MAX_LISTED
from fastmar_runtime.spec import VISION, Field, Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema(spec: Spec) -> JSON:
    """Schema of a record that is answered. Columns that are not listed are allowed, and ignored with a warning."""
    if spec.kind == VISION:
        return {"$schema": DIALECT, "title": f"{spec.name}: a picture", **picture_schemas.record(spec)}
    required = [f.name for f in spec.fields if not f.optional]
    return {
        "$schema": DIALECT,
        "title": f"{spec.name}: a record",
        "type": "object",
        "properties": {f.name: _field_schema(f) for f in spec.fields},
        "required": required,
        "additionalProperties": True,
        **_date_alternatives(spec),
        **_examples(spec),
    }


def _examples(spec: Spec) -> JSON:
    """One plausible record, of the fields' defaults; none where a column that may not be null has no default.

    A date stands for its parts.
    """
    sent = [f for f in spec.fields if f.kind == DATE or not f.optional]
    if not sent or any(f.default is None and (f.kind == DATE or not f.nullable) for f in sent):
        return {}
    return {"examples": [{f.name: plain(f.default) for f in sent}]}


def _date_alternatives(spec: Spec) -> JSON:
    """Each date: itself under one of its names, or all of its parts."""
    aliases = {f.name: f.aliases for f in spec.fields}
    rules = [
        {
            "anyOf": [
                *({"required": [name]} for name in (step["date"], *aliases[step["date"]])),
                {"required": [step["prefix"] + part for part in step["parts"]]},
            ]
        }
        for step in spec.steps
        if step["step"] == "add_datepart"
    ]
    return {"allOf": rules} if rules else {}


def _field_schema(field: Field) -> JSON:
    null = ["null"] if field.nullable else []
    schema: JSON
    if field.kind == NUMBER:
        schema = {"type": ["number", "boolean", *null]}
        if field.default is not None:
            schema["default"] = field.default
    elif field.kind == DATE:
        schema = {"type": ["string", *null], "description": "an ISO 8601 date, from which the parts are computed"}
        if field.default is not None:
            schema["default"] = field.default
    else:
        schema = {
            "type": ["string", "number", "boolean", "null"],  # of another type it is unknown, and answered so
            "description": "one of the known categories; any other is answered as unknown, with a warning",
        }
        if field.default is not None:
            schema["default"] = plain(field.default)
    schema["x-fastmar"] = {"kind": field.kind}
    if field.kind == CATEGORY:
        schema["x-fastmar"] |= {
            "categories": [plain(value) for value in field.categories[:MAX_LISTED]],
            "category_count": len(field.categories),
        }
    statistics = {"standard_deviation": field.spread, "minimum": field.minimum, "maximum": field.maximum}
    schema["x-fastmar"] |= {name: value for name, value in statistics.items() if value is not None}
    return schema


def plain(value: Any) -> Any:
    """A category as a caller sends it: a date is its ISO string."""
    return value["timestamp"] if isinstance(value, dict) else value


_WARNINGS: JSON = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "field": {"type": "string"},
            "code": {"type": "string"},
            "value": {},
            "message": {"type": "string"},
        },
        "required": ["field", "code", "value", "message"],
    },
}


def answer_schema(spec: Spec) -> JSON:
    """Schema of an answer to one record."""
    prediction, properties = answer_kind(spec.decode).schema(spec.decode)
    properties = {"prediction": {**prediction, "x-fastmar": {"targets": list(spec.targets)}}, **properties}
    name = {"name": picture_schemas.NAME} if spec.kind == VISION else {}
    return {
        "$schema": DIALECT,
        "title": f"{spec.name}: an answer",
        "type": "object",
        "properties": {**name, **properties, "warnings": _WARNINGS},
        "required": [*properties, "warnings"],
        "additionalProperties": False,
    }


def describe(spec: Spec) -> JSON:
    """What a caller may want to know of the model, schemas included."""
    return {
        "name": spec.name,
        "version": spec.version,
        "kind": spec.kind,
        "targets": list(spec.targets),
        "record": record_schema(spec),
        "answer": answer_schema(spec),
        "notices": list(spec.notices),
        **({"ui": spec.ui} if spec.ui else {}),
    }
