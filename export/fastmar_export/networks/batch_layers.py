"""fastai's batch transforms as layers, so that they run inside the graph, in front of the network.

At inference the affine family is linear, separable, and fixed for a fixed input size: every row of the output is a
weighted sum of rows of the input, and likewise every column. Written naively it costs as much as a network
(`GridSample`, and `interpolate(mode="area")` as gathers), so it is written in the cheapest form that is equal:

- nothing, where the size stays as it is: sampling a picture at its own pixels gives it back, but for rounding that
  moves a pixel by at most 3e-5 of the range of its neighbours;
- ONNX's `Resize`, where torch's bilinear `interpolate` is the same formula: at most 5e-5 from `grid_sample`;
- one constant matrix an axis for the rest, made by torch's own functions from the identity: at most 2e-5;
- the same matrices computed in the graph, where the input's size is open.

All of them take and give [batch, channels, height, width]. Formulas are those of `fastai/vision/augment.py` and
`fastai/data/transforms.py`, for validation (`split_idx=1`).
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
    Grid,
    Open,
    Sampling,
    Size,
    Slice,
    WholePicture,
    fixed,
)

__all__ = ["MODES", "PAD_MODES", "Affine", "IntToFloatTensor", "Normalize", "RandomResizedCropGPU", "Size"]


class IntToFloatTensor(nn.Module):
    """``x.float() / div``: bytes to numbers in [0, 1]."""

    def __init__(self, div: float = 255.0) -> None:
        super().__init__()
        self.div = div

    def forward(self, x: Tensor) -> Tensor:
        """uint8 or float in, float32 out."""
        return x.float() / self.div


class Normalize(nn.Module):
    """``(x - mean) / std``, a number a channel each."""

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
    """A transform of the affine family (`Flip`, `Rotate`, `Zoom`, `Warp`, `Dihedral`, `aug_transforms`), at validation.

    fastai skips its random matrix, but still samples on the identity's grid, and resizes where it has a size.
    """

    def __init__(
        self,
        size: Size | None = None,
        mode: str = "bilinear",
        pad_mode: str = "reflection",
        align_corners: bool | None = True,
        input_size: Size | None = None,
    ) -> None:
        """Make the cheapest form.

        Args:
            size: height and width of the output; None for the input's.
            mode: ``"bilinear"`` or ``"nearest"``.
            pad_mode: ``"zeros"``, ``"border"`` or ``"reflection"``.
            align_corners: None, as a bare `AffineCoordTfm` has it, is False.
            input_size: height and width of the input; None where they are open.
        """
        super().__init__()
        self.sampling = Sampling(mode, pad_mode, bool(align_corners))
        self.size, self.input_size = size, input_size
        self.form: nn.Module
        if input_size is not None:
            self.form = fixed(self.sampling, input_size, size or input_size)
        elif mode == "nearest":
            self.form = nn.Identity() if size is None else Grid(self.sampling, size)
        else:
            self.form = Open(self.sampling, size, WholePicture())

    def forward(self, x: Tensor) -> Any:
        """float32 in and out; height and width to `size`."""
        return self.form(x)


class RandomResizedCropGPU(nn.Module):
    """The centre of a picture, as large as `ratio` and `valid_scale` let it be, resized to `size`."""

    def __init__(
        self,
        size: Size,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        valid_scale: float = 1.0,
        mode: str = "bilinear",
        input_size: Size | None = None,
    ) -> None:
        """Make the cheapest form.

        Args:
            size: height and width of the output.
            ratio: least and greatest width over height of the crop.
            valid_scale: of the crop, in height and in width.
            mode: ``"bilinear"`` or ``"nearest"``.
            input_size: height and width of the input; None where they are open.
        """
        super().__init__()
        sampling = Sampling(mode)
        crop = CentreCrop(ratio, valid_scale)
        self.form: nn.Module
        if input_size is not None:
            top, left, height, width = crop.box(*input_size)
            self.form = nn.Sequential(Slice(top, left, height, width), fixed(sampling, (height, width), size))
        elif mode == "nearest":
            raise ValueError("a crop of open size by nearest pixels has no form in a graph")
        else:
            self.form = Open(sampling, size, crop)

    def forward(self, x: Tensor) -> Any:
        """float32 in and out; height and width to `size`."""
        return self.form(x)
