"""The ways to sample a picture on a grid that is no more than another size: each equal to fastai's, none as slow.

`batch_layers.py` tells when which is taken, and how far each is from `grid_sample`.
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
    """How fastai's `_grid_sample` samples under the identity: `mode`, `pad_mode` and `align_corners` as there."""

    mode: str = "bilinear"
    pad_mode: str = "reflection"
    align_corners: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES or self.pad_mode not in PAD_MODES:
            raise ValueError(f"mode {self.mode!r} of {MODES} and pad_mode {self.pad_mode!r} of {PAD_MODES} are known")

    def zoom(self, out: Size) -> float:
        """`z`: 2 over the span of the sampling grid. fastai itself divides by zero where the output is one pixel."""
        longest = max(out)
        return 1.0 if self.align_corners else longest / max(longest - 1, 1)

    def area(self, size: Size, out: Size) -> Size:
        """The size that fastai first averages to: `size` itself where it does not.

        ``d = min(height / out_width, width / 2) / 2``: where fastai means the grid's height and width it reads its last
        axes, which are width and the pair of coordinates.
        """
        d = min(size[0] / out[1], size[1] / 2) / 2
        if self.mode != "bilinear" or not (d > 1 and d > self.zoom(out)):
            return size
        return math.floor(float(size[0]) * (1 / d)), math.floor(float(size[1]) * (1 / d))

    def grid(self, out: Size) -> Tensor:
        """[1, height, width, 2]: where each pixel of the output lies in the input, under the identity."""
        with (
            warnings.catch_warnings()
        ):  # torch warns of sides that are one pixel long: its version 1.2 put them elsewhere
            warnings.simplefilter("ignore")
            return F.affine_grid(torch.eye(2, 3)[None], [1, 1, *out], align_corners=self.align_corners)

    def is_resize(self) -> bool:
        """Whether torch's `interpolate` is the same: samples beyond the outermost pixels are clamped to them, if any.

        Reflection clamps too: samples lie at most half a pixel beyond, and are mirrored at the pixel's outer edge.
        """
        return self.mode == "bilinear" and (self.align_corners or self.pad_mode != "zeros")

    def matrix(self, length: int, area: int, out: int) -> Tensor:
        """[out, length]: what averaging to `area` and then sampling makes of one axis, from torch's own functions."""
        eye = torch.eye(length, dtype=torch.float32).view(1, length, length, 1)
        averaged = eye if area == length else F.adaptive_avg_pool2d(eye, (area, 1))
        grid = self.grid((out, 1))
        sampled = F.grid_sample(averaged, grid, self.mode, self.pad_mode, align_corners=self.align_corners)
        return sampled[0, :, :, 0].T.contiguous()


def fixed(sampling: Sampling, size: Size, out: Size) -> nn.Module:
    """The cheapest form for an input of `size`."""
    area = sampling.area(size, out)
    if area == size and out == size:
        return nn.Identity()
    if area == size and 1 not in out and sampling.is_resize():
        return Resize(out, sampling.align_corners)
    matrices = [sampling.matrix(*lengths) for lengths in zip(size, area, out, strict=True)]
    return Pick(*matrices) if sampling.mode == "nearest" else Matrices(*matrices)


class Slice(nn.Module):
    """A box of a picture."""

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


class Pick(nn.Module):
    """Nearest pixels: every row of the matrices has a single one, so rows and columns are picked."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.argmax(1))
        self.register_buffer("columns", columns.argmax(1))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        return x.index_select(2, self.rows).index_select(3, self.columns)


class Grid(nn.Module):
    """Nearest pixels of an open size: torch's own sampling, since ties fall as its rounding falls."""

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
    """The box of a transform that crops nothing."""

    def open_box(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Top, left, height and width, as float64 scalars."""
        return torch.zeros_like(height), torch.zeros_like(width), height, width


class CentreCrop:
    """The box that `RandomResizedCropGPU` takes at validation: top, left, height and width."""

    def __init__(self, ratio: tuple[float, float], valid_scale: float) -> None:
        self.low, self.high, self.scale = ratio[0], ratio[1], valid_scale

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Fastai's words, but for the names."""
        tall, wide = height, width
        if width / height < self.low:
            tall = int(width / self.low)
        elif width / height > self.high:
            wide = int(height * self.high)
        tall, wide = int(tall * self.scale), int(wide * self.scale)
        return (height - tall) // 2, (width - wide) // 2, tall, wide

    def open_box(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same in float64 scalars."""
        tall = torch.where(width / height < self.low, torch.floor(width / self.low), height)
        wide = torch.where(width / height > self.high, torch.floor(height * self.high), width)
        tall, wide = torch.floor(tall * self.scale), torch.floor(wide * self.scale)
        return torch.floor((height - tall) / 2), torch.floor((width - wide) / 2), tall, wide


class Open(nn.Module):
    """The matrices, computed in the graph from the size of each batch. Sizes are float64 scalars there."""

    def __init__(self, sampling: Sampling, out: Size | None, crop: WholePicture | CentreCrop) -> None:
        super().__init__()
        self.sampling, self.out, self.crop = sampling, out, crop

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] in and out."""
        rows, columns = _count(x.shape[2]), _count(x.shape[3])
        height, width = rows[-1] + 1, columns[-1] + 1
        top, left, tall, wide = self.crop.open_box(height, width)
        out_rows, out_columns = (rows, columns) if self.out is None else (_count(self.out[0]), _count(self.out[1]))
        out_height, out_width = out_rows[-1] + 1, out_columns[-1] + 1
        longest = torch.maximum(out_height, out_width)
        zoom = torch.ones_like(longest) if self.sampling.align_corners else longest / (longest - 1)
        d = torch.minimum(tall / out_width, wide / 2) / 2
        d = torch.where((d > 1) & (d > zoom), d, torch.ones_like(d))
        by_rows = self._matrix(rows - top, tall, torch.floor(tall * (1 / d)), out_rows, out_height)
        by_columns = self._matrix(columns - left, wide, torch.floor(wide * (1 / d)), out_columns, out_width)
        return torch.matmul(by_rows, torch.matmul(x, by_columns.T))

    def _matrix(self, pixels: Tensor, length: Tensor, area: Tensor, places: Tensor, out: Tensor) -> Tensor:
        """[out, pixels]: each place is a mixture of two averages, each over an interval of pixels.

        Average k of `area` is over pixels from ``floor(k * length / area)`` up to ``ceil((k + 1) * length / area)``.
        Pixels outside of the crop have numbers below 0 or from `length` on, and lie in no interval.
        """
        if self.sampling.align_corners:
            # torch puts the only place of a side of one pixel in the middle.
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
        """[len(k), pixels]; rows of zeros for a k that is none, as padding with zeros has it."""
        first = torch.floor(k * length / area)[:, None]
        end = torch.ceil((k + 1) * length / area)[:, None]
        exists = ((k >= 0) & (k < area))[:, None]
        inside = exists & (pixels[None] >= first) & (pixels[None] < end)
        return inside.double() / (end - first)


def _count(length: int) -> Tensor:
    """0, 1, ... as float64; `length` may be open."""
    return torch.arange(length).double()
