"""The parts of a model's JSON Schemas that only models of pictures have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmar_runtime.pictures import MODEL_SIZE, ORIGINAL_SIZE
from fastmar_runtime.spec import IMAGE, Spec

JSON = dict[str, Any]

NAME: JSON = {"type": "string", "description": "what the request calls the picture: the name of its part, or its name"}

_BASE64: JSON = {"type": "string", "contentEncoding": "base64"}
_NUMBER: JSON = {"type": "number"}
_COUNT: JSON = {"type": "integer", "minimum": 0}
_POINTS: JSON = {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}}


def record(spec: Spec) -> JSON:
    """Schema of a picture in JSON."""
    opening = next((step for step in spec.steps if step["step"] == "pil_image"), {})
    told = ("max_pixels", "max_bytes", "exif_transpose")
    limits = {name: opening[name] for name in told if name in opening}
    image: JSON = {
        "description": "the bytes of a JPEG, PNG, GIF, BMP, WebP or TIFF file, in base64",
        "oneOf": [_BASE64, {"type": "object", "properties": {"b64": _BASE64}, "required": ["b64"]}],
        "x-fastmar": {"kind": IMAGE, **limits},
    }
    options: JSON = {"name": NAME}
    if spec.decode.get("decoder") == "segmentation":
        options["mask_size"] = {
            "enum": [MODEL_SIZE, ORIGINAL_SIZE],
            "default": MODEL_SIZE,
            "description": "size of the mask: the network's, or that of the picture sent",
        }
    return {
        "type": "object",
        "properties": {IMAGE: image, **options},
        "required": [IMAGE],
        "additionalProperties": True,
    }


def _points() -> tuple[JSON, JSON]:
    prediction = {**_POINTS, "description": "[x, y] in pixels of the picture that was sent"}
    return prediction, {"points_model": {**_POINTS, "description": "the same in pixels of the network's input"}}


def _segmentation() -> tuple[JSON, JSON]:
    one = {
        "type": "object",
        "properties": {"index": _COUNT, "name": {"type": ["string", "null"]}, "pixels": _COUNT},
        "required": ["index", "name", "pixels"],
        "additionalProperties": False,
    }
    classes = {
        "type": "array",
        "items": one,
        "description": "classes that occur; the name is null for pixels that were cut away before the network saw them",
    }
    mask = {
        **_BASE64,
        "contentMediaType": "image/png",
        "description": "a grey PNG whose values are the classes' indexes",
    }
    parts = {"mask": mask, "width": _COUNT, "height": _COUNT, "classes": classes}
    return {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}, {}


PREDICTIONS: dict[str, Callable[[], tuple[JSON, JSON]]] = {"points": _points, "segmentation": _segmentation}
"""Schema of the prediction and of what stands beside it, by decoder."""
