"""Finds the picture class that a transform creates; fastai records the method `PILImage.create` in several ways."""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Global, Record, path_of
from fastmar_export.wrapped import wrapped_objects

MODES = {"fastai.vision.core.PILImage": "RGB", "fastai.vision.core.PILImageBW": "L", "fastai.vision.core.PILMask": "L"}
"""Pillow's mode by class, as in fastai's `_open_args`."""

PICTURES = ("fastai.vision.core.PILImage", "fastai.vision.core.PILImageBW")
"""The classes that can be a network's input."""


def is_picture(transform: Any) -> bool:
    """Whether `transform` opens pictures, even with an unknown class."""
    return created_class(transform) is not None


def created_class(transform: Any) -> str | None:
    """Path of the class whose method `create` is this transform, such as fastai.vision.core.PILImage; else None."""
    owners = (_owner_of_create(value) for value in wrapped_objects(transform) if isinstance(value, Record))
    return next((path_of(owner) for owner in owners if owner is not None), None)


def _owner_of_create(record: Record) -> Any:
    """The class if `record` is its bound method `create`, pickled by cloudpickle or by pickle; else None."""
    if len(record.args) != 2:
        return None
    first, second = record.args
    if record.path == "types.MethodType" and path_of(first).endswith(".create"):
        return second
    return first if second == "create" and isinstance(first, Global | Record) else None
