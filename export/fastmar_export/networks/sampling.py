"""Implementations of fastai's grid sampling for grids that only change the size. All are faster than `grid_sample`.

`batch_layers.py` says when each of them is used, and how much it differs from `grid_sample`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

Size = tuple[int, int]
"""Height and width."""

MODES = ("bilinear", "nearest")
PAD_MODES = ("zeros", "border", "reflection")


@dataclass(frozen=True, slots=True)
class Sampling:
    """The parameters of fastai's `_grid_sample` for the identity: `mode`, `pad_mode` and `align_corners`."""

    mode: str = "bilinear"
    pad_mode: str = "reflection"
    align_corners: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES or self.pad_mode not in PAD_MODES:
            raise ValueError(
                f"mode {self.mode!r} is not one of {MODES}, or pad_mode {self.pad_mode!r} is not one of {PAD_MODES}"
            )

    def zoom(self, out: Size) -> float:
        """Fastai's `z`: 2 divided by the span of the sampling grid. For one pixel, fastai divides by zero."""
        longest = max(out)
        return 1.0 if self.align_corners else longest / max(longest - 1, 1)

    def area(self, size: Size, out: Size, zoom: float | None = None) -> Size:
        """The size to which fastai averages first; `size` if it does not average. `zoom` is fastai's `z`, if known.

        ``d = min(height / out_width, width / 2) / 2``: fastai uses the last two axes of the grid, which are the width
        and the pair of coordinates, instead of height and width.
        """
        d = min(size[0] / out[1], size[1] / 2) / 2
        if self.mode != "bilinear" or not (d > 1 and d > (self.zoom(out) if zoom is None else zoom)):
            return size
        return math.floor(float(size[0]) * (1 / d)), math.floor(float(size[1]) * (1 / d))

    def grid(self, out: Size) -> Tensor:
        """[1, height, width, 2]: the position in the input of each output pixel, for the identity."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that sides of one pixel changed after version 1.2
            return F.affine_grid(torch.eye(2, 3)[None], [1, 1, *out], align_corners=self.align_corners)

    def is_resize(self) -> bool:
        """Whether torch's `interpolate` computes the same: samples outside the picture have the value of its border.

        This includes reflection, because samples are at most half a pixel outside, and are reflected at the outer edge
        of the border pixels.
        """
        return self.mode == "bilinear" and (self.align_corners or self.pad_mode != "zeros")

    def matrix(self, length: int, area: int, out: int) -> Tensor:
        """[out, length]: averaging to `area` and sampling of one axis as a matrix, computed by torch's functions."""
        eye = torch.eye(length, dtype=torch.float32).view(1, length, length, 1)
        averaged = eye if area == length else F.adaptive_avg_pool2d(eye, (area, 1))
        grid = self.grid((out, 1))
        sampled = F.grid_sample(averaged, grid, self.mode, self.pad_mode, align_corners=self.align_corners)
        return sampled[0, :, :, 0].T.contiguous()


def fixed_form(sampling: Sampling, size: Size, out: Size) -> nn.Module:
    """The fastest form for an input of `size`."""
    area = sampling.area(size, out)
    if area == size and out == size:
        return nn.Identity()
    if area == size and 1 not in out and sampling.is_resize():
        return Resize(out, sampling.align_corners)
    matrices = [sampling.matrix(*lengths) for lengths in zip(size, area, out, strict=True)]
    return SelectPixels(*matrices) if sampling.mode == "nearest" else Matrices(*matrices)


class Slice(nn.Module):
    """Crops a box."""

    def __init__(self, top: int, left: int, height: int, width: int) -> None:
        super().__init__()
        self.rows, self.columns = slice(top, top + height), slice(left, left + width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        return x[..., self.rows, self.columns]


class Resize(nn.Module):
    """torch's bilinear `interpolate`."""

    def __init__(self, out: Size, align_corners: bool) -> None:
        super().__init__()
        self.out, self.align_corners = out, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        return F.interpolate(x, self.out, mode="bilinear", align_corners=self.align_corners)


class Matrices(nn.Module):
    """``rows @ x @ columns.T``."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        return torch.matmul(self.rows, torch.matmul(x, self.columns))


class SelectPixels(nn.Module):
    """Nearest pixels: each row of the matrices has a single 1, so rows and columns are selected by index."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.argmax(1))
        self.register_buffer("columns", columns.argmax(1))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        return x.index_select(2, self.rows).index_select(3, self.columns)


class GridSample(nn.Module):
    """Nearest pixels of inputs of any size: torch's `grid_sample`, because ties depend on its rounding."""

    grid: Tensor

    def __init__(self, sampling: Sampling, out: Size) -> None:
        super().__init__()
        self.sampling = sampling
        self.register_buffer("grid", sampling.grid(out))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        grid = self.grid.expand(x.shape[0], -1, -1, -1)
        mode, pad_mode = self.sampling.mode, self.sampling.pad_mode
        return F.grid_sample(x, grid, mode, pad_mode, align_corners=self.sampling.align_corners)


class WholePicture:
    """The crop box of a transform that does not crop."""

    def dynamic_box(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Top, left, height and width, as float64 scalars."""
        return torch.zeros_like(height), torch.zeros_like(width), height, width


class CentreCrop:
    """The crop box of `RandomResizedCropGPU` at validation: top, left, height and width."""

    def __init__(self, ratio: tuple[float, float], valid_scale: float) -> None:
        self.low, self.high, self.scale = ratio[0], ratio[1], valid_scale

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """fastai's formula."""  # noqa: D403 - its name
        tall, wide = height, width
        if width / height < self.low:
            tall = int(width / self.low)
        elif width / height > self.high:
            wide = int(height * self.high)
        tall, wide = int(tall * self.scale), int(wide * self.scale)
        return (height - tall) // 2, (width - wide) // 2, tall, wide

    def dynamic_box(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same formula for float64 scalars."""
        tall = torch.where(width / height < self.low, torch.floor(width / self.low), height)
        wide = torch.where(width / height > self.high, torch.floor(height * self.high), width)
        tall, wide = torch.floor(tall * self.scale), torch.floor(wide * self.scale)
        return torch.floor((height - tall) / 2), torch.floor((width - wide) / 2), tall, wide


class DynamicMatrices(nn.Module):
    """`Matrices` that the graph computes from the size of each batch. Sizes are float64 scalars."""

    def __init__(self, sampling: Sampling, out: Size | None, crop: WholePicture | CentreCrop) -> None:
        super().__init__()
        self.sampling, self.out, self.crop = sampling, out, crop

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        rows, columns = _arange(x.shape[2]), _arange(x.shape[3])
        height, width = rows[-1] + 1, columns[-1] + 1
        top, left, tall, wide = self.crop.dynamic_box(height, width)
        out_rows, out_columns = (rows, columns) if self.out is None else (_arange(self.out[0]), _arange(self.out[1]))
        out_height, out_width = out_rows[-1] + 1, out_columns[-1] + 1
        longest = torch.maximum(out_height, out_width)
        zoom = torch.ones_like(longest) if self.sampling.align_corners else longest / (longest - 1)
        d = torch.minimum(tall / out_width, wide / 2) / 2
        d = torch.where((d > 1) & (d > zoom), d, torch.ones_like(d))
        by_rows = self._matrix(rows - top, tall, torch.floor(tall * (1 / d)), out_rows, out_height)
        by_columns = self._matrix(columns - left, wide, torch.floor(wide * (1 / d)), out_columns, out_width)
        return torch.matmul(by_rows, torch.matmul(x, by_columns.T))

    def _matrix(self, pixels: Tensor, length: Tensor, area: Tensor, places: Tensor, out: Tensor) -> Tensor:
        """[out, pixels]: each output place is a weighted sum of two averages, each over an interval of pixels.

        Average k of `area` covers pixels from ``floor(k * length / area)`` to ``ceil((k + 1) * length / area)``. Pixels
        outside the crop have indices below 0 or at least `length`, and are in no interval.
        """
        if self.sampling.align_corners:
            # For a side of one pixel, torch uses the middle.
            place = torch.where(out > 1, places * (area - 1) / torch.clamp(out - 1, min=1), (area - 1) / 2)
        else:
            place = (2 * places + 1) * area / (2 * out) - 0.5
        if self.sampling.pad_mode != "zeros":
            place = torch.minimum(torch.clamp(place, min=0), area - 1)
        before = torch.floor(place)
        share = place - before
        mixed = (1 - share)[:, None] * self._average(before, pixels, length, area)
        return (mixed + share[:, None] * self._average(before + 1, pixels, length, area)).float()

    @staticmethod
    def _average(k: Tensor, pixels: Tensor, length: Tensor, area: Tensor) -> Tensor:
        """[len(k), pixels]; rows of zeros for k outside of the averages, as in padding with zeros."""
        first = torch.floor(k * length / area)[:, None]
        end = torch.ceil((k + 1) * length / area)[:, None]
        exists = ((k >= 0) & (k < area))[:, None]
        inside = exists & (pixels[None] >= first) & (pixels[None] < end)
        return inside.double() / (end - first)


def _arange(length: int) -> Tensor:
    """0, 1, ... as float64; `length` may be dynamic."""
    return torch.arange(length).double()
