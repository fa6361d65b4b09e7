"""Extensions: what installed packages add to the export by entry points, and which of their files go into an archive.

- `fastmar.converters`: a module that registers converters of transforms when it is imported
- `fastmar.modalities`: a module with a `MODALITY`, for learners with another kind of input
- `fastmar.layers`: the import name of a package whose layers a network may contain, as with `--module`
- `fastmar.callbacks`: a list of class paths of callbacks that do not change answers
- `fastmar.runtime`: the import name of a package with steps, kinds of answer or modalities; see
  `fastmar_runtime.registry`

Loading an entry point runs code of a package that the user installed. A learner's file has no influence on what is
loaded.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import fastmar_runtime
from fastmar_export.errors import ExportError
from fastmar_runtime import registry
from fastmar_runtime.spec import Spec

CONVERTERS, MODALITIES, LAYERS, CALLBACKS = (
    "fastmar.converters",
    "fastmar.modalities",
    "fastmar.layers",
    "fastmar.callbacks",
)


@cache
def load_entry_points(group: str) -> tuple[Any, ...]:
    """The objects that the entry points of a group refer to.

    Raises:
        ExportError: one of them can't be imported.
    """
    return tuple(_load(entry) for entry in entry_points(group=group))


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # importing a module may raise anything
        raise _not_importable(entry, error) from error


def check_extensions() -> None:
    """Import the modules of all installed extensions.

    Raises:
        ExportError: one of them can't be imported.
    """
    for group in (CONVERTERS, MODALITIES, CALLBACKS):
        load_entry_points(group)
    for entry in entry_points(group=registry.GROUP):
        try:
            importlib.import_module(entry.value)
            for folder in registry.FOLDERS:
                for name in registry.names(folder, entry.value):
                    importlib.import_module(f"{entry.value}.{folder}.{name}")
        except Exception as error:  # likewise
            raise _not_importable(entry, error) from error


def _not_importable(entry: EntryPoint, error: Exception) -> ExportError:
    package = entry.dist.name if entry.dist is not None else entry.value.partition(":")[0]
    return ExportError(
        f"the entry point {entry.name} = {entry.value} ({entry.group}) of the installed package {package} can't be "
        f"imported ({type(error).__name__}: {error}).",
        fix=f"install what {package} needs, or remove it with `pip uninstall {package}`, and export again.",
        code="extension_not_importable",
    )


def layer_packages() -> list[str]:
    """Import names of packages whose layers a network may contain."""
    return [entry.value for entry in entry_points(group=LAYERS)]


def harmless_callbacks() -> set[str]:
    """Class paths of callbacks that do not change answers."""
    return {path for paths in load_entry_points(CALLBACKS) for path in paths}


def packages_of(spec: Spec) -> list[str]:
    """Import names of the extensions that the runtime needs for `spec`."""
    needed = [("modalities", spec.kind), ("answers", spec.decode.get("decoder"))]
    needed += [("steps", step["step"]) for step in spec.steps]
    found = {registry.package_of(folder, str(name)) for folder, name in needed}
    return sorted(package for package in found if package not in (None, fastmar_runtime.__name__))


def sources_of(spec: Spec) -> Iterator[tuple[str, bytes]]:
    """Archive members, as name and content, with the source of those extensions."""
    packages = packages_of(spec)
    if packages:
        yield f"{fastmar_runtime.__name__}/{registry.LIST}", json.dumps(packages).encode()
    for name in packages:
        yield from package_sources(name)


def package_sources(name: str) -> Iterator[tuple[str, bytes]]:
    """Archive members, as name and content, with the modules of a package."""
    root = Path(next(iter(importlib.import_module(name).__path__)))
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root.parent).as_posix(), path.read_bytes()
