"""fastmar's Python API: `export` writes an archive of a learner, `load` opens one for predictions in this process.

    fastmar.export(learn, "model_store", name="flights")
    model = fastmar.load("model_store/flights.mar")

Everything else is in the command `fastmar`; `fastmar_client` sends records to a server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmar.model import Model, load
    from fastmar_export.notebook import Summary, export

__all__ = ["Model", "Summary", "export", "load"]

# Imported on first use: `import fastmar` is fast, and `load` works without torch.
_MODULES = {
    "Model": "fastmar.model",
    "Summary": "fastmar_export.notebook",
    "export": "fastmar_export.notebook",
    "load": "fastmar.model",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        if _MODULES[name] != "fastmar_export.notebook":
            raise
        raise ModuleNotFoundError(
            f"fastmar.{name} needs {error.name}, which is not installed.\n"
            "  Fix: pip install '.[export]' in a checkout of fastmar, or pip install 'fastmar[export]'.",
            name=error.name,
        ) from error
