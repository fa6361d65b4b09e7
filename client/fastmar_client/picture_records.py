"""Pictures as records in JSON: what is wrong with one, and an example."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from fastmar_client.pictures import png
from fastmar_client.problems import Problem
from fastmar_contract.display import short_repr

IMAGE = "image"
EXAMPLE_SIZE = 8  # pixels of each side

_SEND_PICTURE = 'send {"image": {"b64": "..."}} with the picture\'s bytes in base64, or the picture itself as the body.'
_PARTS = (IMAGE, "b64", "name", "mask_size")
_MASK_SIZES = ("model", "original")


def problems(record: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with a picture in JSON."""
    content = record.get(IMAGE, record if "b64" in record else None)
    if isinstance(content, dict):
        content = content.get("b64")
    if IMAGE not in record and "b64" not in record:
        yield Problem("refused", "missing_column", IMAGE, "the record has no 'image'.", _SEND_PICTURE)
    elif not isinstance(content, str):
        message = f"'image' is {short_repr(content)}, where base64 belongs."
        yield Problem("refused", "not_a_picture", IMAGE, message, _SEND_PICTURE)
    size = record.get("mask_size", _MASK_SIZES[0])
    if size not in _MASK_SIZES:
        fix = "send 'model' or 'original'."
        yield Problem("refused", "bad_option", "mask_size", f"'mask_size' is {short_repr(size)}.", fix, size)
    for name in (name for name in record if name not in _PARTS):
        yield Problem("ignored", "extra_column", name, f"the model does not use {name!r}.", "take it out.")


def example() -> dict[str, Any]:
    """A record that is answered without a warning."""
    return {IMAGE: {"b64": black_png()}}


def black_png() -> str:
    """A small black picture, or a mask of one class, in base64."""
    data = png(EXAMPLE_SIZE, EXAMPLE_SIZE, 0, bytes(EXAMPLE_SIZE * EXAMPLE_SIZE))
    return base64.b64encode(data).decode("ascii")
