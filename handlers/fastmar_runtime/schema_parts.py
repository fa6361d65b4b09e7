"""Parts of the schemas of records and answers: types, references, texts for descriptions."""

from __future__ import annotations

import re
from typing import Any

JSON = dict[str, Any]

MAX_LISTED = 1000  # categories of a column, or labels, in a schema
MAX_NAMED = 20  # categories or labels in a description

BASE64: JSON = {"type": "string", "contentEncoding": "base64"}

# Parts of OpenAPI components, in the subset of JSON Schema that client generators support.
TEXT: JSON = {"type": "string"}
FLOAT: JSON = {"type": "number", "format": "double"}
COUNT: JSON = {"type": "integer", "format": "int64", "minimum": 0}
TEXTS: JSON = {"type": "array", "items": TEXT}
FLOATS: JSON = {"type": "array", "items": FLOAT}


def ref(name: str) -> JSON:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed_object(properties: JSON, required: Any) -> JSON:
    """Schema of an object in a request, or of a part of an answer that will get no further properties."""
    return {"type": "object", "properties": properties, **({"required": [*required]} if required else {})}


def open_object(properties: JSON, required: Any) -> JSON:
    """Schema of an object in an answer. Go clients reject properties of later versions unless it allows them."""
    return {**closed_object(properties, required), "additionalProperties": True}


def list_values(values: list[Any]) -> str:
    """The first of `values` as text, and the number of further ones."""
    text = ", ".join(comment_safe(repr(value)) for value in values[:MAX_NAMED])
    return text if len(values) <= MAX_NAMED else f"{text}, and {len(values) - MAX_NAMED:,} more"


def comment_safe(text: str) -> str:
    """`text` without characters that could end a comment of generated code."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"', "'")
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", text)
