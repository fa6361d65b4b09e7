"""Implementations of fastai's layers that need the input of their container, including its U-Net.

fastai stores that input in an attribute of the tensor (`x.orig`), and the encoder's activations in hooks. A graph has
neither, so both are arguments here. The formulas are those of `fastai/layers.py` and `fastai/vision/models/unet.py`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.fastai_layers import layer
from fastmar_export.reader import Global, Record, path_of

UNET = "fastai.vision.models.unet.DynamicUnet"
_BLOCK = "fastai.vision.models.unet.UnetBlock"
_HOOK = "fastai.callback.hook.Hook"


class WithOrig(nn.Module):
    """A layer with two inputs: its own, and that of its `SequentialEx`."""

    def forward(self, x: Tensor, orig: Tensor) -> Tensor:
        """Both [batch, channels, height, width]."""
        raise NotImplementedError


@layer("fastai.layers.SequentialEx")
class SequentialEx(nn.Module):
    """A `Sequential` that passes its input to layers which need it."""

    layers: nn.ModuleList

    def forward(self, x: Tensor) -> Any:
        """Input of the first layer to output of the last."""
        out = x
        for part in self.layers:
            out = part(out, x) if isinstance(part, WithOrig) else part(out)
        return out


@layer("fastai.layers.MergeLayer")
class MergeLayer(WithOrig):
    """A shortcut connection: adds the container's input, or concatenates it to the channels if `dense`."""

    dense: bool

    def forward(self, x: Tensor, orig: Tensor) -> Tensor:
        """[batch, channels, height, width] each; if `dense`, channels may differ."""
        return torch.cat([x, orig], dim=1) if self.dense else x + orig


@layer("fastai.layers.ProdLayer")
class ProdLayer(WithOrig):
    """Multiplies with the container's input: the last part of a squeeze-and-excitation block."""

    def forward(self, x: Tensor, orig: Tensor) -> Tensor:
        """[batch, channels, 1, 1] and [batch, channels, height, width]."""
        return x * orig


@layer("fastai.vision.models.unet.ResizeToOrig")
class ResizeToOrig(WithOrig):
    """Resizes to the height and width of the container's input."""

    mode: str

    def forward(self, x: Tensor, orig: Tensor) -> Tensor:
        """[batch, channels, height, width] each; the output has height and width of `orig`."""
        return _to_size_of(orig, x, self.mode)


@layer(_BLOCK)
class UnetBlock(nn.Module):
    """Doubles height and width, and concatenates the encoder's activation of that size."""

    shuf: nn.Module
    bn: nn.Module
    relu: nn.Module
    conv1: nn.Module
    conv2: nn.Module

    def forward(self, x: Tensor, skip: Tensor) -> Any:
        """[batch, channels, height, width] each; `skip` is the encoder's activation."""
        up = _to_size_of(skip, self.shuf(x), "nearest")
        return self.conv2(self.conv1(self.relu(torch.cat([up, self.bn(skip)], dim=1))))


@layer(UNET)
class DynamicUnet(SequentialEx):
    """An encoder, and blocks that use its activations.

    Attributes:
        taps: the index of the encoder's layer whose output each `UnetBlock` uses, in the order of the blocks.
    """

    taps: list[int]

    def forward(self, x: Tensor) -> Any:
        """[batch, channels, height, width] to [batch, outputs, height, width]."""
        encoder, *rest = self.layers
        out, skips = x, []
        for part in encoder:  # type: ignore[attr-defined] # `find_taps` checks that it is a Sequential
            out = part(out)
            skips.append(out)
        taps = iter(self.taps)
        for part in rest:
            if isinstance(part, UnetBlock):
                out = part(out, skips[next(taps)])
            else:
                out = part(out, x) if isinstance(part, WithOrig) else part(out)
        return out


def _to_size_of(other: Tensor, x: Tensor, mode: str) -> Tensor:
    """`x`, resized if its height or width differ from those of `other`.

    During the export of a graph with dynamic sizes this is unknown, so the mode `nearest` always resizes, which does
    not change pictures of the same size.
    """
    size = other.shape[-2:]
    if any(isinstance(length, torch.SymInt) for length in (*size, *x.shape[-2:])) and mode == "nearest":
        return F.interpolate(x, size, mode=mode)
    return x if size == x.shape[-2:] else F.interpolate(x, size, mode=mode)


def find_taps(record: Record, where: str) -> tuple[list[int], list[Record]]:
    """For each block of the recorded `DynamicUnet`, the index of the encoder's layer that it uses, and its hook.

    Raises:
        UnsupportedModule: the encoder is not a `Sequential`, or a block's hook is not fastai's or not in the encoder.
    """
    layers = _children(record.get("_modules", {}).get("layers"))
    encoder = layers[0] if layers else None
    if not isinstance(encoder, Record) or encoder.path != "torch.nn.modules.container.Sequential":
        raise UnsupportedModule(f"{where}.layers.0", path_of(encoder), why="and must be a Sequential")
    owners: dict[int, int] = {}
    for number, child in enumerate(_children(encoder)):
        hooks = child.get("_forward_hooks") if isinstance(child, Record) else None
        for bound in hooks.values() if isinstance(hooks, dict) else ():
            owners[id(hook_of_method(bound))] = number
    taps, own = [], []
    for number, block in enumerate(layers):
        if isinstance(block, Record) and block.path == _BLOCK:
            hook = block.get("hook")
            if not _is_fastais(hook) or id(hook) not in owners:
                raise UnsupportedModule(
                    f"{where}.layers.{number}.hook",
                    path_of(hook),
                    why="which is not fastai's hook",
                    code="foreign_hook",
                )
            taps.append(owners[id(hook)])
            own.append(hook)
    return taps, own


def hook_of_method(bound: Any) -> Record | None:
    """The fastai `Hook` if `bound` is its method `hook_fn`, else None.

    pickle writes the method as ``getattr(hook, "hook_fn")``, cloudpickle as ``MethodType(Hook.hook_fn, hook)``.
    """
    if not isinstance(bound, Record) or len(bound.args) != 2:
        return None
    if isinstance(bound.callee, Global) and bound.callee.path == "builtins.getattr":
        hook, name = bound.args
        return hook if name == "hook_fn" and isinstance(hook, Record) and hook.path == _HOOK else None
    function, hook = bound.args
    named = path_of(function) == f"{_HOOK}.hook_fn" and path_of(bound.callee) == "types.MethodType"
    return hook if named and isinstance(hook, Record) and hook.path == _HOOK else None


def _is_fastais(hook: Any) -> bool:
    """Whether a hook is fastai's, which only stores the output of its layer."""
    return (
        isinstance(hook, Record) and hook.path == _HOOK and path_of(hook.get("hook_func")) == f"{_HOOK[:-4]}_hook_inner"
    )


def _children(record: Any) -> list[Any]:
    modules = record.get("_modules") if isinstance(record, Record) else None
    return list(modules.values()) if isinstance(modules, dict) else []
