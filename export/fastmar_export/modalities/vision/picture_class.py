"""Which class of pictures a transform makes: fastai records `PILImage.create` as a bound method, in several ways."""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Global, Record, path_of

MODES = {"fastai.vision.core.PILImage": "RGB", "fastai.vision.core.PILImageBW": "L", "fastai.vision.core.PILMask": "L"}
"""Pillow's mode by class, as in fastai's `_open_args`."""

PICTURES = ("fastai.vision.core.PILImage", "fastai.vision.core.PILImageBW")
"""Those that a network reads."""

_HOLDERS = ("encodes", "_f", "__wrapped__", "funcs", "d", "f", "func", "create")  # where a version keeps the function
_MOST = 1000  # objects of a transform that are looked at


def is_picture(transform: Any) -> bool:
    """Whether `transform` opens pictures, be it with a class that is not known."""
    return created_class(transform) is not None


def created_class(transform: Any) -> str | None:
    """Path of the class whose `create` this transform is, such as fastai.vision.core.PILImage; None for any other."""
    pending: list[Any] = [transform]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if id(value) in seen or len(seen) > _MOST:
            continue
        seen.add(id(value))
        if isinstance(value, Record):
            owner = _owner_of_create(value)
            if owner is not None:
                return path_of(owner)
            pending += [value.get(name) for name in _HOLDERS]
            pending += [*value.args, *value.items, *(v for _, v in value.entries)]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
    return None


def _owner_of_create(record: Record) -> Any:
    """The class that `record` is the bound method `create` of: written out by cloudpickle, or looked up by pickle."""
    if len(record.args) != 2:
        return None
    first, second = record.args
    if record.path == "types.MethodType" and path_of(first).endswith(".create"):
        return second
    return first if second == "create" and isinstance(first, Global | Record) else None
