"""Weight and spectral norm: torch computes a layer's weight in a hook before each call. Here it is computed once.

Only the hooks of `torch.nn.utils.weight_norm` and `spectral_norm` can stand in a pickle: torch refuses to pickle a
layer with the newer `torch.nn.utils.parametrizations`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.reader import Record

NORMS = ("torch.nn.utils.weight_norm.WeightNorm", "torch.nn.utils.spectral_norm.SpectralNorm")


def is_norm(hook: Any) -> bool:
    """Whether a recorded hook is weight norm or spectral norm."""
    return isinstance(hook, Record) and hook.path in NORMS


def fold(layer: nn.Module, hook: Record, where: str) -> None:
    """Put the weight that `hook` would compute in evaluation mode into `layer`, in place of what it computes it from.

    Raises:
        UnsupportedModule: the record lacks a part.
    """
    name = hook.get("name")
    compute, parts = _FORMULAS[NORMS.index(hook.path)]
    tensors = [getattr(layer, f"{name}{part}", None) for part in parts]
    dim = hook.get("dim")
    if not isinstance(name, str) or type(dim) is not int or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise UnsupportedModule(where, hook.path, why="which lacks a part of what it computes the weight from")
    with torch.no_grad():
        weight = compute(dim, *(tensor for tensor in tensors if tensor is not None)).detach().clone()
    for part in ("", *parts):
        if hasattr(layer, f"{name}{part}"):
            delattr(layer, f"{name}{part}")
    layer.register_parameter(name, nn.Parameter(weight, requires_grad=False))


def _weight_norm(dim: int, g: Tensor, v: Tensor) -> Tensor:
    """``g * v / |v|``, the norm over all axes but `dim` (all of them where it is -1)."""
    return torch._weight_norm(v, g, dim)


def _spectral_norm(dim: int, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``weight / (u' W v)``, W being the weight as a matrix with `dim` first."""
    matrix = weight.permute(dim, *[axis for axis in range(weight.dim()) if axis != dim]) if dim else weight
    matrix = matrix.reshape(matrix.size(0), -1)
    return weight / torch.dot(u, torch.mv(matrix, v))


_FORMULAS: tuple[tuple[Callable[..., Tensor], tuple[str, ...]], ...] = (
    (_weight_norm, ("_g", "_v")),
    (_spectral_norm, ("_orig", "_u", "_v")),
)
