"""What a JSON Schema says of one value: its types, a made-up value, the value that a text stands for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

_LARGEST = 1000.0  # of a made-up number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_IS: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The JSON types that a value may have, as far as `type`, `anyOf` and `oneOf` list them."""
    types = schema.get("type")
    if types is not None:
        return (types,) if isinstance(types, str) else tuple(types)
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return tuple(dict.fromkeys(name for each in alternatives for name in types_of(each)))


def fits(value: Any, types: Collection[str]) -> bool:
    """Whether `value` has one of the JSON `types`."""
    return any(name in _IS and _IS[name](value) for name in types)


def made_up(schema: Mapping[str, Any], chance: random.Random) -> Any:
    """A value of the types, the enum and the bounds of `schema`; other keywords are not looked at."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return chance.choice(list(schema["enum"]))
    kind = next(iter(types_of(schema)), "null")
    if kind in ("number", "integer"):
        least = schema.get("minimum", 0)
        value = chance.uniform(least, schema.get("maximum", least + _LARGEST))
        return value if kind == "number" else round(value)
    if kind == "array":
        return [made_up(schema.get("items") or {}, chance) for _ in range(schema.get("minItems", 1))]
    if kind == "object":
        return {name: made_up(each, chance) for name, each in (schema.get("properties") or {}).items()}
    return {"string": "text", "boolean": chance.random() < 0.5}.get(kind)


def from_text(text: str, types: Collection[str]) -> Any:
    """The value that `text`, such as a cell of a CSV, stands for; the text itself where it stands for no other."""
    if not text and "null" in types:
        return None
    if not types or "string" in types:
        return text
    try:
        value = json.loads(text.lower() if "boolean" in types else text, parse_constant=float)
    except ValueError:
        return text
    return value if fits(value, types) else text
