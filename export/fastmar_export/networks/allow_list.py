"""The allow-list of classes, functions and constants for networks, and the errors for others."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks import fastai_collab, fastai_text, fastai_unet  # noqa: F401 - register their layers
from fastmar_export.networks.fastai_layers import LAYERS
from fastmar_export.reader import Global, Record

# Packages whose nn.Module classes are allowed. Functions that a file names are never called.
PACKAGES = ("torch.nn.modules.", "torchvision.models.", "torchvision.ops.", "timm.models.", "timm.layers.")
# Packages of tensor functions that layers may have as attributes, such as the activation of a transformer layer.
_FUNCTIONS = ("torch.nn.functional.", "torch._C._nn.")

_NOT_USER_PACKAGES = ("__main__", "builtins", "fastai", "timm", "torch", "torchvision")
_FUNCTION_HOLDERS = ("fastai.layers.Lambda", "fastai.layers.PartialLambda")


def resolve_class(path: str, modules: Sequence[str] = ()) -> type[nn.Module] | None:
    """The class for `path`, or None if it is not in the allow-list.

    Args:
        path: dotted path of a class that is pickled by reference.
        modules: top-level packages of the user, whose classes are allowed too.
    """
    if path in LAYERS:
        return LAYERS[path]
    if not (path.startswith(PACKAGES) or _is_user_module(path, modules)):
        return None
    found = _look_up(path)
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


def resolve_value(value: Any, modules: Sequence[str] = ()) -> Any:
    """The function or member of an enumeration that `value` records, or None if it is not in the allow-list."""
    if isinstance(value, Global) and value.path.startswith(_FUNCTIONS):
        function = getattr(torch.nn.functional, value.name, None)
        return function if callable(function) else None
    if isinstance(value, Global) and _is_user_module(value.path, modules):
        return _look_up(value.path)
    if isinstance(value, Record) and isinstance(value.callee, Global) and value.path.startswith(PACKAGES):
        found = _look_up(value.path)
        if isinstance(found, type) and issubclass(found, enum.Enum):
            return next((member for member in found if (member.value,) == value.args), None)
    return None


def unsupported_layer(where: str, path: str, *, by_value: bool = False) -> UnsupportedModule:
    """The error for a layer that is not in the allow-list, or can't be imported.

    Args:
        where: place of the layer in the network, for messages.
        path: dotted path of its class.
        by_value: whether the class is pickled by value, so that it can't be imported.
    """
    package = path.partition(".")[0]
    if path in _FUNCTION_HOLDERS:
        return UnsupportedModule(where, path, why="which calls a function of the user", code="layer_calls_function")
    if path.startswith(PACKAGES) and package != "torch" and not by_value:
        return UnsupportedModule(
            where,
            path,
            why=f"and {package} is not installed or does not have this layer",
            fix=f"install the version of {package} that the learner was trained with (pip install {package}), and "
            "export again.",
            code="layer_not_installed",
        )
    if by_value or package in _NOT_USER_PACKAGES:
        return UnsupportedModule(where, path)
    return UnsupportedModule(
        where,
        path,
        fix=f"export with --module {package}, which runs the code of that package, if it is installed and you trust "
        "it; or build the network from layers of torch, torchvision, timm or fastai.",
    )


def _is_user_module(path: str, modules: Sequence[str]) -> bool:
    return "." in path and path.partition(".")[0] in modules


def _look_up(path: str) -> Any:
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name, None)
    except ImportError:
        return None
