"""JSON Schemas of records and answers, made from a spec."""

from __future__ import annotations

from fastmar_runtime.answers import answer_kind
from fastmar_runtime.modalities import modality
from fastmar_runtime.operations.kinds import kind_of
from fastmar_runtime.record_schemas import json_value
from fastmar_runtime.schema_parts import JSON, MAX_LISTED
from fastmar_runtime.spec import Spec

__all__ = ["DIALECT", "MAX_LISTED", "answer_schema", "describe", "json_value", "record_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema(spec: Spec) -> JSON:
    """Schema of a record."""
    kind = modality(spec.kind)
    return {"$schema": DIALECT, "title": f"{spec.name}: a {kind.record}", **kind.record_schema(spec)}


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
    return {
        "$schema": DIALECT,
        "title": f"{spec.name}: an answer",
        "type": "object",
        "properties": {**modality(spec.kind).answer_properties, **properties, "warnings": _WARNINGS},
        "required": [*properties, "warnings"],
        "additionalProperties": False,
    }


def describe(spec: Spec) -> JSON:
    """The description of a model for callers, with the schemas of its records and answers.

    ``created`` is the date of the export in ISO 8601, if the archive has one.
    """
    operations = kind_of(spec)
    created = (spec.provenance or {}).get("created")
    return {
        "name": spec.name,
        "version": spec.version,
        "kind": spec.kind,
        "targets": list(spec.targets),
        "record": record_schema(spec),
        "answer": answer_schema(spec),
        **({} if operations is None else {operations.name: operations.describe(spec)}),
        "notices": list(spec.notices),
        **({"created": created} if created else {}),
        **({"ui": spec.ui} if spec.ui else {}),
    }
