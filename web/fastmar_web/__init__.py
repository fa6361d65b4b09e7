"""Web app with a form for each model, made from its schema: Flask for the pages, fastmar_client for the server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmar_web.app import create_app
    from fastmar_web.settings import Settings

__all__ = ["Settings", "create_app"]

# Imported on first use: `fastmar.form` uses modules of this package without Flask.
_MODULES = {"Settings": "fastmar_web.settings", "create_app": "fastmar_web.app"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
