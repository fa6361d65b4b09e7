"""Weight norm and spectral norm: torch computes a layer's weight in a hook before each call; here it is computed once.

Only the hooks of `torch.nn.utils.weight_norm` and `spectral_norm` can be in a pickle, because torch can't pickle layers
with the newer `torch.nn.utils.parametrizations`.
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
    """Replace the tensors from which `hook` computes the weight of `layer` by the weight in evaluation mode.

    Raises:
        UnsupportedModule: one of these tensors is missing.
    """
    name = hook.get("name")
    compute, parts = _FORMULAS[NORMS.index(hook.path)]
    tensors = [getattr(layer, f"{name}{part}", None) for part in parts]
    dim = hook.get("dim")
    if not isinstance(name, str) or type(dim) is not int or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise UnsupportedModule(where, hook.path, why="which lacks a tensor for computing the weight")
    with torch.no_grad():
        weight = compute(dim, *(tensor for tensor in tensors if tensor is not None)).detach().clone()
    for part in ("", *parts):
        if hasattr(layer, f"{name}{part}"):
            delattr(layer, f"{name}{part}")
    layer.register_parameter(name, nn.Parameter(weight, requires_grad=False))


def _weight_norm(dim: int, g: Tensor, v: Tensor) -> Tensor:
    """``g * v / |v|``, with the norm over all axes except `dim` (over all axes if `dim` is -1)."""
    return torch._weight_norm(v, g, dim)


def _spectral_norm(dim: int, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``weight / (u' W v)``, where W is the weight as a matrix with `dim` first."""
    matrix = weight.permute(dim, *[axis for axis in range(weight.dim()) if axis != dim]) if dim else weight
    matrix = matrix.reshape(matrix.size(0), -1)
    return weight / torch.dot(u, torch.mv(matrix, v))


_FORMULAS: tuple[tuple[Callable[..., Tensor], tuple[str, ...]], ...] = (
    (_weight_norm, ("_g", "_v")),
    (_spectral_norm, ("_orig", "_u", "_v")),
)
