"""fastmar's Python API: `export` writes an archive of a learner, `load` opens one for predictions in this process.

    fastmar.export(learn, "model_store", name="flights")
    model = fastmar.load("model_store/flights.mar")

`ray.scorer` scores datasets of Ray Data, `spark.scorer` DataFrames of Spark.

Everything else is in the command `fastmar`; `fastmar_client` sends records to a server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastmar._extras import extra

if TYPE_CHECKING:
    from fastmar import ray, spark
    from fastmar.model import Model, load
    from fastmar_export.notebook import Summary, export

__all__ = ["Model", "Summary", "export", "load", "ray", "spark"]

# Imported on first use: `import fastmar` is fast, and `load` works without torch.
_MODULES = {
    "Model": "fastmar.model",
    "Summary": "fastmar_export.notebook",
    "export": "fastmar_export.notebook",
    "load": "fastmar.model",
}


_SUBMODULES = ("ray", "spark")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"fastmar.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _MODULES[name] != "fastmar_export.notebook":
        return getattr(import_module(_MODULES[name]), name)
    with extra(f"fastmar.{name}", "export"):
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # with the names that are imported on first use
