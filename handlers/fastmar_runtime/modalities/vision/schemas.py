"""Schemas of a picture in JSON, and an example."""

from __future__ import annotations

from fastmar_runtime.answers import answer_kind
from fastmar_runtime.schema_parts import BASE64, JSON, TEXT, closed_object
from fastmar_runtime.spec import IMAGE, Spec

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mNsYIAAJgaKGAAmCACQtTEKkQAAAABJRU5ErkJggg=="
"""A grey picture of 8 by 8 pixels in base64, for examples."""

NAME: JSON = {"type": "string", "description": "name of the picture: `name`, or the file name or name of its part"}


def record_schema(spec: Spec) -> JSON:
    """Schema of a picture in JSON."""
    opening = next((step for step in spec.steps if step["step"] == "pil_image"), {})
    names = ("max_pixels", "max_bytes", "exif_transpose")
    limits = {name: opening[name] for name in names if name in opening}
    image: JSON = {
        "description": "the bytes of a JPEG, PNG, GIF, BMP, WebP or TIFF file, in base64",
        "oneOf": [BASE64, {"type": "object", "properties": {"b64": BASE64}, "required": ["b64"]}],
        "x-fastmar": {"kind": IMAGE, **limits},
    }
    return {
        "type": "object",
        "properties": {IMAGE: image, "name": NAME, **answer_kind(spec.decode).options()},
        "required": [IMAGE],
        "additionalProperties": True,
    }


def component(spec: Spec) -> JSON:
    """OpenAPI schema of a picture in JSON."""
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
