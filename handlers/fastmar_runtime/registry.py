"""Lookup of steps, kinds of answer and modalities by name, in this package and in extensions.

An extension is another package with folders of the same names, for example `my_extension/steps/reverse.py`. It is found
by an entry point of the group `fastmar.runtime`, whose value is the package's import name. An archive contains the
source of the extensions that it needs, and their names in `extensions.json` next to the runtime.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

GROUP = "fastmar.runtime"
LIST = "extensions.json"  # in an archive, next to this file: import names of its extensions


def names(folder: str, package: str = "fastmar_runtime") -> list[str]:
    """Names of the modules in a folder of a package; empty if the package has no such folder."""
    try:
        found = importlib.import_module(f"{package}.{folder}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{folder}":
            raise
        return []
    return sorted(info.name for info in pkgutil.iter_modules(found.__path__))


def load(folder: str, name: object) -> ModuleType | None:
    """Import the module `name` in `folder` of this package or of an extension; None if there is no such module."""
    return _load(folder, name) if isinstance(name, str) else None


@cache
def _load(folder: str, name: str) -> ModuleType | None:
    package = package_of(folder, name)
    return None if package is None else importlib.import_module(f"{package}.{folder}.{name}")


@cache
def package_of(folder: str, name: str) -> str | None:
    """The first package with a module `name` in `folder`, this package or an extension; None if there is none."""
    for package in ("fastmar_runtime", *extensions()):
        if name in names(folder, package):
            return package
    return None


@cache
def extensions() -> tuple[str, ...]:
    """Import names of extensions: those in the archive, if this runtime is part of one, else the installed ones."""
    listed = Path(__file__).with_name(LIST)
    if listed.exists():
        return tuple(json.loads(listed.read_text("utf-8")))
    return tuple(sorted({entry.value for entry in entry_points(group=GROUP)}))
