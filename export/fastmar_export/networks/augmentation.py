"""Layers of test-time augmentation: a network predicts a picture and varied copies of it in one batch.

The formulas are those of `Learner.tta` and of `fastai/vision/augment.py` for training (`split_idx=0`), with numbers
that are fixed at export. All layers but `MergeCopies` map [batch, channels, height, width] to the same axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from fastmar_export.networks.sampling import Matrices, Sampling, Size, fixed_form

_EPSILON = 1e-7  # of fastai's `logit`


class StackCopies(nn.Module):
    """Puts the copies of all pictures one after another along the batch: first the plain pictures, then each copy."""

    def __init__(self, count: int, in_channels: bool) -> None:
        """Prepare the layer.

        Args:
            count: number of copies, including the plain one.
            in_channels: whether the input has the copies along its channels; otherwise the pictures are repeated.
        """
        super().__init__()
        self.count, self.in_channels = count, in_channels

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] to [count * batch, ...]."""
        return torch.cat(x.chunk(self.count, 1) if self.in_channels else [x] * self.count)


class PerCopy(nn.Module):
    """Applies a layer of its own to each copy."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """[count * batch, ...] in and out."""
        copies = x.reshape(len(self.layers), -1, *x.shape[1:])
        return torch.cat([layer(copies[place]) for place, layer in enumerate(self.layers)])


class MergeCopies(nn.Module):
    """The predictions of `Learner.tta`: the mean or maximum of the copies, mixed with that of the plain picture."""

    def __init__(self, count: int, activation: str, beta: float, use_max: bool) -> None:
        """Prepare the layer.

        Args:
            count: number of copies, including the plain one.
            activation: ``"softmax"``, ``"sigmoid"`` or ``"identity"``, applied to each copy before they are merged.
            beta: share of the plain picture.
            use_max: whether the prediction is the maximum of all copies instead; `beta` does not matter then.
        """
        super().__init__()
        self.count, self.beta, self.use_max = count, beta, use_max
        self._activate = _ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """[count * batch, ...] to [batch, ...]."""
        copies = self._activate(x).reshape(self.count, -1, *x.shape[1:])
        if self.use_max:
            return copies.amax(0)
        mean = copies[1:].mean(0)
        return mean + self.beta * (copies[0] - mean)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(-1),
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


class Lighting(nn.Module):
    """Brightness and contrast: sums and products in the space of logits."""

    def __init__(self, changes: Sequence[tuple[str, float]]) -> None:
        """`changes` are pairs of ``"brightness"`` or ``"contrast"`` and fastai's `change`, in order."""
        super().__init__()
        self.changes = [(name, torch.tensor(change).item()) for name, change in changes]

    def forward(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] in and out."""
        x = _logit(x)
        for name, change in self.changes:
            x = x + _logit(torch.tensor(change)).item() if name == "brightness" else x * change
        return torch.sigmoid(x)


def _logit(x: Tensor) -> Tensor:
    return -torch.log(1 / x.clamp(_EPSILON, 1 - _EPSILON) - 1)


class SampleGrid(nn.Module):
    """Averages the picture to a smaller one if needed, and samples it at the places of a fixed grid."""

    grid: Tensor

    def __init__(self, sampling: Sampling, grid: Tensor, averaging: nn.Module) -> None:
        super().__init__()
        self.sampling, self.averaging = sampling, averaging
        self.register_buffer("grid", grid)

    def forward(self, x: Tensor) -> Tensor:
        """float32 in and out."""
        grid = self.grid.expand(x.shape[0], -1, -1, -1)
        mode, pad_mode = self.sampling.mode, self.sampling.pad_mode
        return F.grid_sample(self.averaging(x), grid, mode, pad_mode, align_corners=self.sampling.align_corners)


class Turn(nn.Module):
    """Flips pictures along axes, and then swaps height and width if `transposed`."""

    def __init__(self, axes: list[int], transposed: bool) -> None:
        super().__init__()
        self.axes, self.transposed = axes, transposed

    def forward(self, x: Tensor) -> Tensor:
        """float32 in and out."""
        x = x.flip(self.axes) if self.axes else x
        return x.transpose(-1, -2) if self.transposed else x


def affine_copy(matrix: Tensor, perspectives: Sequence[Tensor], sampling: Sampling, size: Size, out: Size) -> nn.Module:
    """The fastest layer for fastai's `AffineCoordTfm` with a fixed matrix.

    Args:
        matrix: product of the affine matrices, [3, 3] float32.
        perspectives: matrices of `perspective`, applied to the grid in this order.
        sampling: how pixels are interpolated.
        size: height and width of the input.
        out: height and width of the output.
    """
    is_turn = not perspectives and sampling.mode == "bilinear" and _is_turn(matrix)
    transposed = bool(matrix[0, 1] != 0)
    if is_turn and (not transposed or (size[0] == size[1] and out[0] == out[1])):
        axes = [axis for axis, row in ((-1, 0), (-2, 1)) if matrix[row, :2].sum() < 0]
        form = fixed_form(sampling, size, out)
        return nn.Sequential(form, Turn(axes, transposed)) if axes or transposed else form
    matrix = matrix.clone()
    matrix[0, 1] *= size[0] / size[1]
    matrix[1, 0] *= size[1] / size[0]
    grid = F.affine_grid(matrix[None, :2], [1, 1, *out], align_corners=sampling.align_corners)
    for each in perspectives:
        points = grid @ each[:, :2].T + each[:, 2]
        grid = (points / points[..., 2:])[..., :2]
    area = sampling.area(size, out, zoom=2 / (grid.max() - grid.min()).item())
    averaging = nn.Identity() if area == size else Matrices(*map(_averaging, size, area))
    return SampleGrid(sampling, grid, averaging)


def _is_turn(matrix: Tensor) -> bool:
    """Whether an affine matrix only flips and turns: each of its rows has a single 1 or -1."""
    return matrix.abs().sort(1).values.tolist() == [[0.0, 0.0, 1.0]] * 3 and not matrix[:2, 2].any()


def _averaging(length: int, area: int) -> Tensor:
    """[area, length]: averages of neighbouring pixels, as those of torch's ``interpolate(mode="area")``."""
    eye = torch.eye(length).view(1, length, length, 1)
    return F.adaptive_avg_pool2d(eye, (area, 1))[0, :, :, 0].T.contiguous()


def perspective(x: float, y: float) -> Tensor:
    """[3, 3]: fastai's `find_coeffs` for a warp by `x` and `y`, shares of half the width and height."""
    corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
    moved = [(-1 - y, -1 - x), (-1 + y, 1 + x), (1 + y, -1 + x), (1 - y, 1 - x)]
    rows: list[list[float]] = []
    for (to_x, to_y), (a, b) in zip(corners, moved, strict=True):
        rows += [[a, b, 1, 0, 0, 0, -to_x * a, -to_x * b], [0, 0, 0, a, b, 1, -to_y * a, -to_y * b]]
    solved: Any = torch.linalg.solve(torch.tensor(rows), torch.tensor(corners).view(8))
    return torch.cat([solved, torch.ones(1)]).view(3, 3)


def flip(sign: float) -> Tensor:
    """[3, 3]: fastai's `flip_mat`; a `sign` of -1 flips left and right."""
    return torch.tensor([[sign, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def dihedral(number: int) -> Tensor:
    """[3, 3]: fastai's `dihedral_mat` for one of the eight flips and quarter turns."""
    x, y = (1, -1, 1, -1, -1, 1, 1, -1)[number], (1, 1, -1, 1, -1, -1, 1, -1)[number]
    if (1, 1, 1, 0, 1, 0, 0, 0)[number]:
        return torch.tensor([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])
    return torch.tensor([[0.0, x, 0.0], [y, 0.0, 0.0], [0.0, 0.0, 1.0]])


def rotation(degrees: float) -> Tensor:
    """[3, 3]: fastai's `rotate_mat`."""
    angle = torch.tensor(degrees) * math.pi / 180
    cos, sin = angle.cos().item(), angle.sin().item()
    return torch.tensor([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def zoom(scale: float, column: float, row: float) -> Tensor:
    """[3, 3]: fastai's `zoom_mat`: a `scale` above 1 zooms in, to the shares `column` and `row` of the picture."""
    share = (1 / torch.tensor(scale)).item()
    return torch.tensor(
        [[share, 0.0, (1 - share) * (2 * column - 1)], [0.0, share, (1 - share) * (2 * row - 1)], [0.0, 0.0, 1.0]]
    )
