"""JSON Schemas of single values: types, synthetic values, and values parsed from text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

_NUMBER_RANGE = 1000.0  # of a synthetic number without a maximum


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The JSON types that a schema allows, from `type`, `anyOf` and `oneOf`."""
    types = schema.get("type")
    if types is not None:
        return (types,) if isinstance(types, str) else tuple(types)
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return tuple(dict.fromkeys(name for each in alternatives for name in types_of(each)))


def fits(value: Any, types: Collection[str]) -> bool:
    """Whether `value` has one of the JSON `types`."""
    return any(name in _TYPE_CHECKS and _TYPE_CHECKS[name](value) for name in types)


def synthetic_value(schema: Mapping[str, Any], rng: random.Random) -> Any:
    """A value that fits the types, the enum and the bounds of `schema`; other keywords are ignored."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(list(schema["enum"]))
    kind = next(iter(types_of(schema)), "null")
    if kind in ("number", "integer"):
        minimum = schema.get("minimum", 0)
        value = rng.uniform(minimum, schema.get("maximum", minimum + _NUMBER_RANGE))
        return value if kind == "number" else round(value)
    if kind == "array":
        return [synthetic_value(schema.get("items") or {}, rng) for _ in range(schema.get("minItems", 1))]
    if kind == "object":
        return {name: synthetic_value(each, rng) for name, each in (schema.get("properties") or {}).items()}
    return {"string": "text", "boolean": rng.random() < 0.5}.get(kind)


def from_text(text: str, types: Collection[str]) -> Any:
    """Parse a text, such as a cell of a CSV; the text itself if it is of no other type."""
    if not text and "null" in types:
        return None
    if not types or "string" in types:
        return text
    try:
        value = json.loads(text.lower() if "boolean" in types else text, parse_constant=float)
    except ValueError:
        return text
    return value if fits(value, types) else text
