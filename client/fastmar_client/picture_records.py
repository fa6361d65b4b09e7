"""Pictures as records in JSON: their validation, and an example."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from fastmar_client.pictures import png
from fastmar_client.problems import Problem
from fastmar_contract.display import short_repr
from fastmar_contract.masks import MASK_SIZE, MASK_SIZES, MODEL_SIZE

IMAGE = "image"
EXAMPLE_SIZE = 8  # pixels; width and height

_SEND_PICTURE = 'send {"image": {"b64": "..."}} with the picture\'s bytes in base64, or the picture itself as the body.'
_KEYS = (IMAGE, "b64", "name", MASK_SIZE)


def problems(record: dict[str, Any]) -> Iterator[Problem]:
    """The problems of a picture in JSON."""
    content = record.get(IMAGE, record if "b64" in record else None)
    if isinstance(content, dict):
        content = content.get("b64")
    if IMAGE not in record and "b64" not in record:
        yield Problem("refused", "missing_column", IMAGE, "the record has no 'image'.", _SEND_PICTURE)
    elif not isinstance(content, str):
        message = f"'image' must be base64 text; got {short_repr(content)}."
        yield Problem("refused", "not_a_picture", IMAGE, message, _SEND_PICTURE)
    size = record.get(MASK_SIZE, MODEL_SIZE)
    if size not in MASK_SIZES:
        fix = "send 'model' or 'original'."
        yield Problem("refused", "bad_option", MASK_SIZE, f"'mask_size' is {short_repr(size)}.", fix, size)
    for name in (name for name in record if name not in _KEYS):
        yield Problem("ignored", "extra_column", name, f"the model does not use {name!r}.", "remove it.")


def example() -> dict[str, Any]:
    """A record that is answered without warnings."""
    return {IMAGE: {"b64": black_png()}}


def black_png() -> str:
    """A small black picture, or a mask of one class, in base64."""
    data = png(EXAMPLE_SIZE, EXAMPLE_SIZE, 0, bytes(EXAMPLE_SIZE * EXAMPLE_SIZE))
    return base64.b64encode(data).decode("ascii")
