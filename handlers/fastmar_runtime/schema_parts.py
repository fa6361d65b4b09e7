"""Parts of the schemas that records and answers share: types, references, values named in descriptions."""

from __future__ import annotations

import re
from typing import Any

JSON = dict[str, Any]

MAX_LISTED = 1000  # categories of a column, and labels, that a schema lists; more are for a look-up, not a page
NAMED = 20  # categories or labels that a description names

BASE64: JSON = {"type": "string", "contentEncoding": "base64"}

# Of OpenAPI's components, in the subset of JSON Schema that client generators handle.
TEXT: JSON = {"type": "string"}
FLOAT: JSON = {"type": "number", "format": "double"}
COUNT: JSON = {"type": "integer", "format": "int64", "minimum": 0}
TEXTS: JSON = {"type": "array", "items": TEXT}
FLOATS: JSON = {"type": "array", "items": FLOAT}


def ref(name: str) -> JSON:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed_object(properties: JSON, required: Any) -> JSON:
    """An object of a request, or a part of an answer that gets no further properties."""
    return {"type": "object", "properties": properties, **({"required": [*required]} if required else {})}


def open_object(properties: JSON, required: Any) -> JSON:
    """An object of an answer. Go's generator refuses properties that are added later unless they are allowed here."""
    return {**closed_object(properties, required), "additionalProperties": True}


def named(values: list[Any]) -> str:
    """The first of `values` in words, and how many there are."""
    text = ", ".join(in_comment(repr(value)) for value in values[:NAMED])
    return text if len(values) <= NAMED else f"{text}, and {len(values) - NAMED:,} more"


def in_comment(text: str) -> str:
    """`text` as it may stand in a comment of generated code, which it must not end or escape from."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"', "'")
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", text)
