"""fastai's batch transforms as layers, so that they run inside the graph, before the network.

At inference, affine transforms are linear, separable, and constant for a fixed input size: each row of the output is a
weighted sum of rows of the input, and each column of columns. A direct implementation (`GridSample`, and
`interpolate(mode="area")` as gathers) is as slow as a network, so the layers use the fastest equal form:

- identity, if the size does not change: sampling a picture at its own pixels returns the picture, except for rounding
  of at most 3e-5 of the range of neighbouring pixels
- ONNX's `Resize`, if torch's bilinear `interpolate` has the same formula: differs from `grid_sample` by at most 5e-5
- otherwise one constant matrix for each axis, computed by torch's functions from the identity: at most 2e-5
- for inputs of any size, the same matrices, computed in the graph

All layers map [batch, channels, height, width] to the same axes. The formulas are those of `fastai/vision/augment.py`
and `fastai/data/transforms.py` for validation (`split_idx=1`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastmar_export.networks.sampling import (
    MODES,
    PAD_MODES,
    CentreCrop,
    DynamicMatrices,
    GridSample,
    Sampling,
    Size,
    Slice,
    WholePicture,
    fixed_form,
)

__all__ = ["MODES", "PAD_MODES", "Affine", "IntToFloatTensor", "Normalize", "RandomResizedCropGPU", "Size"]


class IntToFloatTensor(nn.Module):
    """``x.float() / div``: converts bytes to numbers in [0, 1]."""

    def __init__(self, div: float = 255.0) -> None:
        super().__init__()
        self.div = div

    def forward(self, x: Tensor) -> Tensor:
        """uint8 or float in, float32 out."""
        return x.float() / self.div


class Normalize(nn.Module):
    """``(x - mean) / std``, with one mean and one std for each channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """float32 in and out."""
        return (x - self.mean) / self.std


class Affine(nn.Module):
    """An affine transform (`Flip`, `Rotate`, `Zoom`, `Warp`, `Dihedral`, `aug_transforms`) at validation.

    fastai then skips the random matrix, but still samples on the grid of the identity, and resizes if it has a size.
    """

    def __init__(
        self,
        size: Size | None = None,
        mode: str = "bilinear",
        pad_mode: str = "reflection",
        align_corners: bool | None = True,
        input_size: Size | None = None,
    ) -> None:
        """Select the fastest form.

        Args:
            size: height and width of the output; None for those of the input.
            mode: ``"bilinear"`` or ``"nearest"``.
            pad_mode: ``"zeros"``, ``"border"`` or ``"reflection"``.
            align_corners: None, the value of a plain `AffineCoordTfm`, means False.
            input_size: height and width of the input; None for any size.
        """
        super().__init__()
        self.sampling = Sampling(mode, pad_mode, bool(align_corners))
        self.size, self.input_size = size, input_size
        self.form: nn.Module
        if input_size is not None:
            self.form = fixed_form(self.sampling, input_size, size or input_size)
        elif mode == "nearest":
            self.form = nn.Identity() if size is None else GridSample(self.sampling, size)
        else:
            self.form = DynamicMatrices(self.sampling, size, WholePicture())

    def forward(self, x: Tensor) -> Any:
        """float32 in and out, resized to `size`."""
        return self.form(x)


class RandomResizedCropGPU(nn.Module):
    """The largest centre crop that `ratio` and `valid_scale` allow, resized to `size`."""

    def __init__(
        self,
        size: Size,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        valid_scale: float = 1.0,
        mode: str = "bilinear",
        input_size: Size | None = None,
    ) -> None:
        """Select the fastest form.

        Args:
            size: height and width of the output.
            ratio: minimum and maximum of the crop's width / height.
            valid_scale: factor for height and width of the crop.
            mode: ``"bilinear"`` or ``"nearest"``.
            input_size: height and width of the input; None for any size.
        """
        super().__init__()
        sampling = Sampling(mode)
        crop = CentreCrop(ratio, valid_scale)
        self.form: nn.Module
        if input_size is not None:
            top, left, height, width = crop.box(*input_size)
            self.form = nn.Sequential(Slice(top, left, height, width), fixed_form(sampling, (height, width), size))
        elif mode == "nearest":
            raise ValueError("mode nearest is not supported for a crop of pictures of any size")
        else:
            self.form = DynamicMatrices(sampling, size, crop)

    def forward(self, x: Tensor) -> Any:
        """float32 in and out, resized to `size`."""
        return self.form(x)
