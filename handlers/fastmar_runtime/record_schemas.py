"""Schemas and examples of records that are objects with a value for each field of the spec."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_contract.values import TEXT as TEXT_FIELD
from fastmar_runtime.schema_parts import FLOAT, JSON, MAX_LISTED, TEXT, closed_object, comment_safe, list_values
from fastmar_runtime.spec import Field, Spec


def record_schema(spec: Spec) -> JSON:
    """JSON Schema of a record. Other columns are allowed, and ignored with a warning."""
    required = [f.name for f in spec.fields if not f.optional]
    return {
        "type": "object",
        "properties": {f.name: _field_schema(f) for f in spec.fields},
        "required": required,
        "additionalProperties": True,
        **_date_alternatives(spec),
        **_examples(spec),
    }


def example(spec: Spec) -> JSON:
    """A plausible record: the example of the schema, else the default of each column."""
    examples = record_schema(spec).get("examples")
    if examples and isinstance(examples[0], dict):
        return dict(examples[0])
    return {f.name: _example(spec, f) for f in spec.fields if not f.optional or f.kind == DATE}


def typical_value(spec: Spec, field: Field) -> Any:
    """The value with which a form starts: the default in `ui.yaml`, else that of the field; None if there is none."""
    configured: Any = spec.ui
    for name in ("fields", field.name, "default"):
        configured = configured.get(name) if isinstance(configured, dict) else None
    default = configured if isinstance(configured, str | int | float) else json_value(field.default)
    known = (json_value(category) for category in field.categories)
    same = (category for category in known if str(category).strip() == str(default).strip())
    return default if default is None else next(same, default)


def _example(spec: Spec, field: Field) -> Any:
    if (typical := typical_value(spec, field)) is not None:
        return typical
    if field.kind == CATEGORY:
        return json_value(field.categories[0]) if field.categories else None
    return {DATE: "2024-01-31", TEXT_FIELD: "An example of a text."}.get(field.kind, 0.0)


def component(spec: Spec) -> JSON:
    """OpenAPI schema of a record, in the subset of JSON Schema that client generators handle."""
    exact = record_schema(spec)["properties"]
    notes = ["One record: a value for each column.", *(_date_note(f) for f in spec.fields if f.kind == DATE)]
    if not declarable([f.name for f in spec.fields]):
        notes.append(f"A map, because its columns are not distinct identifiers in all languages: {_names(spec)}.")
        columns = {f.name: exact[f.name].get("x-fastmar", {}) for f in spec.fields}
        return {"type": "object", "additionalProperties": True, "description": " ".join(notes), "x-columns": columns}
    properties = {f.name: _column(f, exact[f.name]) for f in spec.fields}
    required = [f.name for f in spec.fields if not f.optional]
    return {**closed_object(properties, required), "description": " ".join(notes)}


def _names(spec: Spec) -> str:
    return list_values([f.name for f in spec.fields])


def _date_note(field: Field) -> str:
    names = " or ".join(comment_safe(repr(name)) for name in (field.name, *field.aliases))
    return f"The date is sent as {names}; parts of it that are absent are computed."


def declarable(names: list[str]) -> bool:
    """Whether all names become distinct identifiers in every language; generators drop or confuse other names."""
    seen = Counter(map(_identifier, names))
    taken = _MEMBERS.union(*(_accessors(name) for name in seen))
    return len(seen) == len(names) and not taken & seen.keys() and all(map(_SAFE.fullmatch, names))


_SAFE = re.compile(r"""[^\W_][^\x00-\x1f"'`\\$*/{}<>#@%;\x7f]*""", re.ASCII)
_MEMBERS = frozenset(  # members of the classes that generators write
    ("additionalproperties", "additionalkeys", "fromdict", "todict", "tomap", "marshaljson", "unmarshaljson")
)


def _identifier(name: str) -> str:
    """The identifier that the least precise generator makes of a name."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _accessors(identifier: str) -> set[str]:
    """Methods that the Go generator adds for a field."""
    patterns = ("get{}", "get{}ok", "has{}", "set{}", "set{}nil", "unset{}")
    return {pattern.format(identifier) for pattern in patterns}


def _column(field: Field, exact: JSON) -> JSON:
    """A single type for each column; a number's booleans and a category's other types are not declared."""
    schema: JSON = {NUMBER: FLOAT, DATE: TEXT, TEXT_FIELD: TEXT}.get(field.kind) or category_type(field)
    description = exact.get("description", "")
    if field.kind == CATEGORY and field.categories:
        description += f": {list_values([json_value(value) for value in field.categories])}"
    return {
        **schema,
        **({"nullable": True} if field.nullable or field.kind == CATEGORY else {}),
        **({"description": description} if description else {}),
        **{key: value for key, value in exact.items() if key.startswith("x-")},
    }


def category_type(field: Field) -> JSON:
    """OpenAPI schema of the categories of a field."""
    kinds = {type(json_value(value)) for value in field.categories}
    if kinds == {bool}:
        return {"type": "boolean"}
    if kinds == {int}:
        return {"type": "integer", "format": "int64"}
    if kinds and kinds <= {int, float}:
        return dict(FLOAT)
    return dict(TEXT) if kinds <= {str} else {}  # several types: any value


def _examples(spec: Spec) -> JSON:
    """One plausible record of the typical values, with dates instead of their parts.

    No example if a column that must not be null has no default.
    """
    columns = [f for f in spec.fields if f.kind == DATE or not f.optional]
    if not columns or any(typical_value(spec, f) is None and (f.kind == DATE or not f.nullable) for f in columns):
        return {}
    return {"examples": [{f.name: typical_value(spec, f) for f in columns}]}


def _date_alternatives(spec: Spec) -> JSON:
    """A rule for each date: it is required under one of its names, or all of its parts are."""
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
    elif field.kind == TEXT_FIELD:
        schema = {"type": "string"}
    else:
        schema = {
            "type": ["string", "number", "boolean", "null"],  # a value of another type is an unknown category
            "description": "one of the known categories; others are treated as unknown, with a warning",
        }
        if field.default is not None:
            schema["default"] = json_value(field.default)
    schema["x-fastmar"] = {"kind": field.kind}
    if field.kind == CATEGORY:
        schema["x-fastmar"] |= {
            "categories": [json_value(value) for value in field.categories[:MAX_LISTED]],
            "category_count": len(field.categories),
        }
    statistics = {"standard_deviation": field.spread, "minimum": field.minimum, "maximum": field.maximum}
    schema["x-fastmar"] |= {name: value for name, value in statistics.items() if value is not None}
    return schema


def json_value(value: Any) -> Any:
    """A category or default as a caller sends it: dates are ISO strings."""
    return value["timestamp"] if isinstance(value, dict) else value
