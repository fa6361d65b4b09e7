"""Finds the functions that a Transform calls; versions of fastai record them in different attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastmar_export.reader import Global, Record

_FUNCTION_ATTRIBUTES = ("encodes", "_f", "__wrapped__", "funcs", "d", "f", "func", "create")  # in different versions
_MAX_OBJECTS = 1000  # objects of a transform that are searched


def wrapped_objects(transform: Any) -> Iterator[Any]:
    """`transform` and the objects in it among which are the functions that it calls, each once."""
    pending: list[Any] = [transform]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if id(value) in seen or len(seen) > _MAX_OBJECTS:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, Record):
            pending += [value.get(name) for name in _FUNCTION_ATTRIBUTES]
            pending += [*value.args, *value.items, *(v for _, v in value.entries)]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()


def wrapped_functions(transform: Any) -> set[str]:
    """Paths of the functions that `transform` calls, if it is a Transform made of functions; empty otherwise."""
    if not isinstance(transform, Record) or not transform.path.endswith(".transform.Transform"):
        return set()
    return {value.path for value in wrapped_objects(transform) if isinstance(value, Global)}
