"""The function reverse_text, which fastai wraps in a Transform for networks that read backwards."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.wrapped import wrapped_functions

_FUNCTION = "fastai.text.data.reverse_text"


def reverse_ids(transform: Any) -> State | None:
    """A state without attributes; None if `transform` is not the Transform of `reverse_text`."""
    return {"step": "reverse_ids"} if wrapped_functions(transform) == {_FUNCTION} else None
