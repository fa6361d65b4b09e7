"""Which classes, functions and constants a network may be made of: the allow-list, and how others are refused."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks import fastai_unet  # noqa: F401 - registers its layers
from fastmar_export.networks.fastai_layers import LAYERS
from fastmar_export.reader import Global, Record

# Folders whose nn.Module classes are taken as they are. Only classes: no function that a file names is ever called.
PACKAGES = ("torch.nn.modules.", "torchvision.models.", "torchvision.ops.", "timm.models.", "timm.layers.")
# Attributes that layers call by themselves, such as a transformer layer's activation: functions of tensors alone.
_FUNCTIONS = ("torch.nn.functional.", "torch._C._nn.")

_NOT_OF_USERS = ("__main__", "builtins", "fastai", "timm", "torch", "torchvision")
_FUNCTION_HOLDERS = ("fastai.layers.Lambda", "fastai.layers.PartialLambda")


def resolve_class(path: str, modules: Sequence[str] = ()) -> type[nn.Module] | None:
    """The class that stands for `path`, or None where it is outside the allow-list.

    Args:
        path: dotted path of a class that can be imported, not of one that the pickle wrote out.
        modules: top packages of the user's own whose classes are imported as well.
    """
    if path in LAYERS:
        return LAYERS[path]
    if not (path.startswith(PACKAGES) or _is_asked_for(path, modules)):
        return None
    found = _look_up(path)
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


def resolve_value(value: Any, modules: Sequence[str] = ()) -> Any:
    """The function or constant of an enumeration that `value` records, or None where it is outside the allow-list."""
    if isinstance(value, Global) and value.path.startswith(_FUNCTIONS):
        function = getattr(torch.nn.functional, value.name, None)
        return function if callable(function) else None
    if isinstance(value, Global) and _is_asked_for(value.path, modules):
        return _look_up(value.path)
    if isinstance(value, Record) and isinstance(value.callee, Global) and value.path.startswith(PACKAGES):
        found = _look_up(value.path)
        if isinstance(found, type) and issubclass(found, enum.Enum):
            return next((member for member in found if (member.value,) == value.args), None)
    return None


def refused_layer(where: str, path: str, *, written_out: bool = False) -> UnsupportedModule:
    """The refusal of the layer at `where`, whose class `path` is not in the allow-list or can't be imported here.

    Args:
        where: how messages name it.
        path: dotted path of its class.
        written_out: whether the class is in the pickle: then there is nothing to import.
    """
    package = path.partition(".")[0]
    if path in _FUNCTION_HOLDERS:
        return UnsupportedModule(where, path, why="which calls a function of the user's")
    if path.startswith(PACKAGES) and package != "torch" and not written_out:
        return UnsupportedModule(
            where,
            path,
            why=f"and {package} is not installed here or has no such layer",
            fix=f"install the {package} that the learner was trained with (pip install {package}), and export again.",
        )
    if written_out or package in _NOT_OF_USERS:
        return UnsupportedModule(where, path)
    return UnsupportedModule(
        where,
        path,
        fix=f"export with --module {package}, which runs the code of that package, if it is installed here and you "
        "trust it; or build the network out of torch's, torchvision's, timm's or fastai's layers.",
    )


def _is_asked_for(path: str, modules: Sequence[str]) -> bool:
    return "." in path and path.partition(".")[0] in modules


def _look_up(path: str) -> Any:
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name, None)
    except ImportError:
        return None
