"""Lookup of steps, kinds of answer and modalities by name, in this package and in extensions.

An extension is another package with folders of the same names, for example `my_extension/steps/reverse.py`. It is found
by an entry point of the group `fastmar.runtime`, whose value is the package's import name. An archive contains the
source of the extensions that it needs, and their names in `extensions.json` next to the runtime.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from fastmar_runtime.errors import ExtensionBroken

_OWN = "fastmar_runtime"
GROUP = "fastmar.runtime"
FOLDERS = ("steps", "answers", "modalities")  # of this package and of each extension
LIST = "extensions.json"  # in an archive, next to this file: import names of its extensions


def names(folder: str, package: str = _OWN) -> list[str]:
    """Names of the modules in a folder of a package; empty if the package has no such folder."""
    try:
        found = importlib.import_module(f"{package}.{folder}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{folder}":
            raise
        return []
    return sorted(info.name for info in pkgutil.iter_modules(found.__path__))


def load(folder: str, name: object) -> ModuleType | None:
    """Import the module `name` in `folder` of this package or of an extension; None if there is no such module.

    Raises:
        ExtensionBroken: an extension can't be imported.
    """
    return _load(folder, name) if isinstance(name, str) else None


@cache
def _load(folder: str, name: str) -> ModuleType | None:
    package = package_of(folder, name)
    if package is None:
        return None
    with _named_error(package):
        return importlib.import_module(f"{package}.{folder}.{name}")


@cache
def package_of(folder: str, name: str) -> str | None:
    """The first package with a module `name` in `folder`, this package or an extension; None if there is none.

    Raises:
        ExtensionBroken: an extension can't be imported.
    """
    for package in (_OWN, *extensions()):
        with _named_error(package):
            if name in names(folder, package):
                return package
    return None


@contextmanager
def _named_error(package: str) -> Iterator[None]:
    """Raise `ExtensionBroken` for any exception on importing an extension."""
    try:
        yield
    except Exception as error:
        if package == _OWN:
            raise
        raise ExtensionBroken(
            f"the model's extension {package} can't be imported ({type(error).__name__}: {error}).",
            fix=f"install {package} and the packages that it imports where the model is loaded or served.",
        ) from error


@cache
def extensions() -> tuple[str, ...]:
    """Import names of extensions: those in the archive, if this runtime is part of one, else the installed ones."""
    listed = Path(__file__).with_name(LIST)
    if listed.exists():
        return tuple(json.loads(listed.read_text("utf-8")))
    return tuple(sorted({entry.value for entry in entry_points(group=GROUP)}))
