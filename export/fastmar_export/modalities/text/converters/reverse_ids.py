"""The function reverse_text, which fastai wraps in a Transform for networks that read backwards."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.reader import Global, Record
from fastmar_export.wrapped import wrapped_objects

_FUNCTION = "fastai.text.data.reverse_text"


def reverse_ids(transform: Any) -> State | None:
    """A state without attributes; None if `transform` is not the Transform of `reverse_text`."""
    if not isinstance(transform, Record) or not transform.path.endswith(".transform.Transform"):
        return None
    functions = {value.path for value in wrapped_objects(transform) if isinstance(value, Global)}
    return {"step": "reverse_ids"} if functions == {_FUNCTION} else None
