"""Converters: the record of a fastai transform becomes a step of `spec.json`. One file each, named like its step.

A converter is registered beside its function, keyed on the exact class path and the domain; a user's subclass of it is
another class, and is refused rather than served as its parent. Transforms of a batch of pictures become layers of the
graph instead of steps: their converters are in `graph/`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastmar_export import extensions
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.reader import Record

State = dict[str, Any]


def model_notice(code: str, message: str) -> State:
    """Something that a caller should know of a whole model, said at export and in its schema."""
    return {"field": None, "code": code, "message": message}


@dataclass(slots=True)
class Table:
    """What converters of tabular transforms share: the table's columns, and what there is to say at export.

    Attributes:
        cats, conts: names of the category and number columns, in the network's order.
        notices: ``{"field", "code", "message"}`` for what a caller should know.
    """

    cats: list[str]
    conts: list[str]
    notices: list[dict[str, Any]] = field(default_factory=list)

    def notice(self, column: str | None, code: str, message: str) -> None:
        """Say something about the model at export, and in its schema."""
        self.notices.append({"field": column, "code": code, "message": message})


@dataclass(slots=True)
class Pictures:
    """What converters of transforms of pictures share.

    Attributes:
        size: width and height that the transforms before this one leave; None where pictures differ.
        max_pixels: that the network may be given where pictures differ.
        notices: as in `Table`.
    """

    size: tuple[int, int] | None = None
    max_pixels: int = 4_000_000
    notices: list[dict[str, Any]] = field(default_factory=list)

    def notice(self, code: str, message: str) -> None:
        """Say something about the model at export, and in its schema."""
        self.notices.append(model_notice(code, message))


Converter = Callable[[Record, str, Any], State]

ITEM, BATCH = "vision", "vision batch"
"""Domains of pictures: transforms of an item become steps, those of a batch become layers of the graph."""

_REGISTRY: dict[tuple[str, str], Converter] = {}
_PARAMETERS = {
    "tabular": ["record", "where", "table"],
    ITEM: ["record", "where", "pictures"],
    BATCH: ["record", "where", "pictures"],
}


def converter(path: str, *, domain: str) -> Callable[[Converter], Converter]:
    """Register the function that converts the transform at `path` where it stands in a pipeline of `domain`."""

    def register(function: Converter) -> Converter:
        if (path, domain) in _REGISTRY:
            raise ValueError(f"two converters for {path} in {domain}: {_REGISTRY[path, domain]} and {function}")
        if list(inspect.signature(function).parameters) != _PARAMETERS[domain]:
            raise TypeError(f"{function} must take {', '.join(_PARAMETERS[domain])}")
        _REGISTRY[path, domain] = function
        return function

    return register


def registry() -> dict[tuple[str, str], Converter]:
    """All converters by class path and domain; finds them by listing this folder, and in installed packages."""
    for info in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(info.name)
    extensions.loaded(extensions.CONVERTERS)
    return dict(_REGISTRY)


def convert(record: Any, where: str, domain: str, shared: Table | Pictures) -> State:
    """The step (or layer) for `record`, which stands at `where` (for messages) in a pipeline of `domain`.

    Raises:
        UnsupportedTransform: it has no converter, or holds what a step can't express.
    """
    path = record.path if isinstance(record, Record) else type(record).__name__
    found = registry().get((path, domain))
    if found is None:
        raise UnsupportedTransform(where, path)
    if domain == "tabular" and (record.get("split_idx") is not None or "encodes" in record.attrs):
        # fastai skips such a transform in one of the two splits, or runs code of the user's in its place.
        raise UnsupportedTransform(
            where,
            path,
            why="whose split_idx or encodes was set on the instance",
            fix="give the transform fastai's own back (del proc.encodes; proc.split_idx = None), and export again.",
        )
    return found(record, where, shared)
