"""Finds the picture class that a transform creates; fastai records the method `PILImage.create` in several ways."""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Global, Record, path_of

MODES = {"fastai.vision.core.PILImage": "RGB", "fastai.vision.core.PILImageBW": "L", "fastai.vision.core.PILMask": "L"}
"""Pillow's mode by class, as in fastai's `_open_args`."""

PICTURES = ("fastai.vision.core.PILImage", "fastai.vision.core.PILImageBW")
"""The classes that can be a network's input."""

_FUNCTION_ATTRIBUTES = ("encodes", "_f", "__wrapped__", "funcs", "d", "f", "func", "create")  # in different versions
_MAX_OBJECTS = 1000  # objects of a transform that are searched


def is_picture(transform: Any) -> bool:
    """Whether `transform` opens pictures, even with an unknown class."""
    return created_class(transform) is not None


def created_class(transform: Any) -> str | None:
    """Path of the class whose method `create` is this transform, such as fastai.vision.core.PILImage; else None."""
    pending: list[Any] = [transform]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if id(value) in seen or len(seen) > _MAX_OBJECTS:
            continue
        seen.add(id(value))
        if isinstance(value, Record):
            owner = _owner_of_create(value)
            if owner is not None:
                return path_of(owner)
            pending += [value.get(name) for name in _FUNCTION_ATTRIBUTES]
            pending += [*value.args, *value.items, *(v for _, v in value.entries)]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
    return None


def _owner_of_create(record: Record) -> Any:
    """The class if `record` is its bound method `create`, pickled by cloudpickle or by pickle; else None."""
    if len(record.args) != 2:
        return None
    first, second = record.args
    if record.path == "types.MethodType" and path_of(first).endswith(".create"):
        return second
    return first if second == "create" and isinstance(first, Global | Record) else None
