"""Lists the layers of a recorded network: their classes, and whether they are in the allow-list."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch

from fastmar_export.networks.rebuild import is_module, resolve_class
from fastmar_export.networks.wrappers import unwrapped

_MAX_LAYERS = 500
_MAX_NAME = 100  # characters of a layer's name


def list_layers(model: Any) -> list[dict[str, Any]]:
    """``{"where", "depth", "class", "parameters", "served"}`` for each layer, from the root down."""
    layers: list[dict[str, Any]] = []
    pending = [("model", 0, model)]
    while pending and len(layers) < _MAX_LAYERS:
        where, depth, record = pending.pop()
        record = unwrapped(record)
        if not is_module(record):
            continue
        parameters = record.get("_parameters")
        weights = islice(parameters.values(), _MAX_LAYERS) if isinstance(parameters, dict) else ()
        count = sum(each.numel() for each in weights if isinstance(each, torch.Tensor))
        served = resolve_class(record.path) is not None
        layers.append({"where": where, "depth": depth, "class": record.path, "parameters": count, "served": served})
        children = record.get("_modules")
        if isinstance(children, dict):
            some = islice(children.items(), _MAX_LAYERS)
            named = [(f"{where}.{name!s:.{_MAX_NAME}}", depth + 1, child) for name, child in some if child is not None]
            pending += reversed(named)
    return layers


def unknown_layers(model: Any) -> list[str]:
    """The distinct classes of layers that are not in the allow-list."""
    return list(dict.fromkeys(layer["class"] for layer in list_layers(model) if not layer["served"]))
