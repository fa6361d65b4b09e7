"""Converters: functions that turn the record of a fastai transform into a step of `spec.json` or a layer of the graph.

The decorator `converter` registers a function by the exact class path and the domain. A user's subclass has another
path, so it is refused instead of being served as its parent. Each modality has a folder of converters.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.reader import Record


@dataclass(frozen=True, slots=True)
class Domain:
    """A group of pipelines in which a transform class has one converter.

    Attributes:
        name: shown in documentation.
        makes: what the converters return the state of: ``"step"`` or ``"layer"``.
    """

    name: str
    makes: str = "step"

    def describe(self, function: Converter) -> str:
        """A text that says what the converter `function` makes of a transform."""
        return f"{self.makes} {function.__name__}"


Converter = Callable[[Record, str, Any], State]
"""Takes a transform's record, its place in the learner (for messages), and an object that the converters of a domain
share."""

_REGISTRY: dict[tuple[str, Domain], Converter] = {}


def converter(path: str, *, domain: Domain) -> Callable[[Converter], Converter]:
    """Register the function that converts the transform at `path` in a pipeline of `domain`."""

    def register(function: Converter) -> Converter:
        if (path, domain) in _REGISTRY:
            raise ValueError(f"{path} has two converters in {domain}: {_REGISTRY[path, domain]} and {function}")
        _REGISTRY[path, domain] = function
        return function

    return register


def import_all(package: str, folders: Iterable[str]) -> None:
    """Import all modules of `package`, which registers their converters."""
    for info in pkgutil.walk_packages(folders, f"{package}."):
        importlib.import_module(info.name)


def registered_converters() -> dict[tuple[str, Domain], Converter]:
    """The converters of the modalities imported so far, by class path and domain."""
    return dict(_REGISTRY)


def converter_of(record: Any, where: str, domain: Domain) -> Converter:
    """The converter for `record`, the transform at `where` in a pipeline of `domain`.

    Raises:
        UnsupportedTransform: no converter is registered for it.
    """
    path = record.path if isinstance(record, Record) else type(record).__name__
    found = _REGISTRY.get((path, domain))
    if found is None:
        raise UnsupportedTransform(where, path)
    return found


def convert(record: Any, where: str, domain: Domain, shared: Any) -> State:
    """The state of the step or layer for `record`.

    Raises:
        UnsupportedTransform: it has no converter, or has a value that the state can't express.
    """
    return converter_of(record, where, domain)(record, where, shared)
