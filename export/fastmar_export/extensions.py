"""What installed packages add to the export, by entry points, and what of them travels in an archive.

- `fastmar.converters`: a module that registers converters of transforms when it is imported
- `fastmar.modalities`: a module with a `MODALITY`, for learners that read something else
- `fastmar.layers`: the import name of a package whose layers may be part of a network, as with `--module`
- `fastmar.callbacks`: a list of class paths of callbacks that change no answer
- `fastmar.runtime`: the import name of a package with steps, kinds of answer or modalities; see
  `fastmar_runtime.registry`

Loading an entry point runs the code of a package that the user installed; nothing out of a learner's file decides it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import fastmar_runtime
from fastmar_runtime import registry
from fastmar_runtime.spec import Spec

CONVERTERS, MODALITIES, LAYERS, CALLBACKS = (
    "fastmar.converters",
    "fastmar.modalities",
    "fastmar.layers",
    "fastmar.callbacks",
)


@cache
def loaded(group: str) -> tuple[Any, ...]:
    """What the entry points of a group name."""
    return tuple(entry.load() for entry in entry_points(group=group))


def layer_packages() -> list[str]:
    """Import names of packages whose layers may be part of a network."""
    return [entry.value for entry in entry_points(group=LAYERS)]


def harmless_callbacks() -> set[str]:
    """Class paths of callbacks that change no answer."""
    return {path for paths in loaded(CALLBACKS) for path in paths}


def packages_of(spec: Spec) -> list[str]:
    """Import names of the extensions that a spec needs when it is run."""
    needed = [("modalities", spec.kind), ("answers", spec.decode.get("decoder"))]
    needed += [("steps", step["step"]) for step in spec.steps]
    found = {registry.package_of(folder, str(name)) for folder, name in needed}
    return sorted(package for package in found if package not in (None, fastmar_runtime.__name__))


def sources_of(spec: Spec) -> Iterator[tuple[str, bytes]]:
    """Names in the archive and contents of the files of those extensions."""
    packages = packages_of(spec)
    if packages:
        yield f"{fastmar_runtime.__name__}/{registry.LIST}", json.dumps(packages).encode()
    for name in packages:
        yield from package_sources(name)


def package_sources(name: str) -> Iterator[tuple[str, bytes]]:
    """Names in the archive and contents of a package's modules."""
    root = Path(next(iter(importlib.import_module(name).__path__)))
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root.parent).as_posix(), path.read_bytes()
