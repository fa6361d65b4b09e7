"""fastmar in Python: `export` writes an archive of a learner, `load` opens one and answers in this process.

    fastmar.export(learn, "model_store", name="flights")
    model = fastmar.load("model_store/flights.mar")

The command `fastmar` does everything else; `fastmar_client` asks a server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmar.model import Model, load
    from fastmar_export.notebook import Summary, export

__all__ = ["Model", "Summary", "export", "load"]

# Each is imported when it is first used: `import fastmar` is quick, and `load` works where torch is not installed.
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
            f"{error.name} is not installed, which fastmar.{name} needs.\n  Fix: pip install 'fastmar[export]'",
            name=error.name,
        ) from error
