"""Layers before a network for pictures: turns the states of batch transforms into torch modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from fastmar_export.conversion import Layer, State
from fastmar_export.networks.batch_layers import Affine, IntToFloatTensor, Normalize, RandomResizedCropGPU

Size = tuple[int, int]
"""Width and height, in states; modules take height and width."""


def layer_of(state: State, size: Size | None) -> Layer:
    """The layer of `state` for pictures of `size`; None means any size."""
    return Layer(state, _MODULES[state["layer"]](state, _swapped(size)))


def _swapped(size: Any) -> Size | None:
    return None if size is None else (size[1], size[0])


def _affine(state: State, size: Size | None) -> nn.Module:
    return Affine(_swapped(state["size"]), state["mode"], state["pad_mode"], state["align_corners"], size)


def _random_resized_crop_gpu(state: State, size: Size | None) -> nn.Module:
    (width, height), (low, high) = state["size"], state["ratio"]
    return RandomResizedCropGPU((height, width), (low, high), state["valid_scale"], state["mode"], size)


_MODULES: dict[str, Callable[[State, Size | None], nn.Module]] = {
    "int_to_float_tensor": lambda state, _: IntToFloatTensor(state["div"]),
    "normalize": lambda state, _: Normalize(state["mean"], state["std"]),
    "affine": _affine,
    "random_resized_crop_gpu": _random_resized_crop_gpu,
}
