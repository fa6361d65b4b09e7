"""Steps, kinds of answer and modalities by their names: modules of this package's folders, and of extensions.

An extension is a package of somebody else with folders of the same names, for instance `my_extension/steps/reverse.py`.
It is found by an entry point of the group `fastmar.runtime`, whose value is the package's import name. An archive that
needs it holds its source, and the names of its extensions beside the runtime, in `extensions.json`.
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
LIST = "extensions.json"  # beside this file in an archive: the import names of its extensions


def names(folder: str, package: str = "fastmar_runtime") -> list[str]:
    """Names of the modules in a folder of a package; none where it has no such folder."""
    try:
        found = importlib.import_module(f"{package}.{folder}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{folder}":
            raise
        return []
    return sorted(info.name for info in pkgutil.iter_modules(found.__path__))


def load(folder: str, name: object) -> ModuleType | None:
    """The module `name` of a folder, of this package or else of an extension; None where there is none."""
    return _load(folder, name) if isinstance(name, str) else None


@cache
def _load(folder: str, name: str) -> ModuleType | None:
    package = package_of(folder, name)
    return None if package is None else importlib.import_module(f"{package}.{folder}.{name}")


@cache
def package_of(folder: str, name: str) -> str | None:
    """The package that has the module `name` in `folder`; this one comes first."""
    for package in ("fastmar_runtime", *extensions()):
        if name in names(folder, package):
            return package
    return None


@cache
def extensions() -> tuple[str, ...]:
    """Import names of the extensions: those of the archive that this runtime is part of, else those installed."""
    listed = Path(__file__).with_name(LIST)
    if listed.exists():
        return tuple(json.loads(listed.read_text("utf-8")))
    return tuple(sorted({entry.value for entry in entry_points(group=GROUP)}))
