"""Batch transforms of fastai as layers of one augmented copy. The order of draws is that of `fastai/vision/augment.py`
for a transform with ``batch=True``: one draw for all pictures of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fastmar_export.learner import as_list
from fastmar_export.modalities.vision.attributes import choice_of, size_of
from fastmar_export.modalities.vision.augmentation.draws import Draws, LeftOut
from fastmar_export.modalities.vision.converters.graph.affine import FAMILY, MODES
from fastmar_export.modalities.vision.converters.resize import PAD_MODES
from fastmar_export.networks.augmentation import (
    Lighting,
    affine_copy,
    dihedral,
    flip,
    perspective,
    rotation,
    zoom,
)
from fastmar_export.networks.sampling import CentreCrop, Sampling, Size, Slice, fixed_form
from fastmar_export.reader import Record, path_of

Facts = Mapping[str, Any]
"""Arguments of a function of fastai, or attributes of an object."""

BatchCopy = Callable[[Record, Draws, Size, list[str]], nn.Module]
"""Takes a transform's record, the draws, height and width of the pictures, and a list to which it adds the names of the
parts that are left out."""

_AUGMENT = "fastai.vision.augment."
_ATTEMPTS = 10  # of RandomResizedCrop to find a crop


def _drawn(draws: Draws, facts: Facts, name: str, low: float, high: float) -> float:
    fixed = draws.fixed(facts.get(name))
    return draws.uniform(low, high) if fixed is None else fixed


def _flip(draws: Draws, facts: Facts) -> Tensor:
    fixed = draws.fixed(facts.get("draw"))
    return flip(1 - 2 * draws.masked(1.0 if fixed is None else fixed, facts["p"], 0.0))


def _dihedral(draws: Draws, facts: Facts) -> Tensor:
    fixed = draws.fixed(facts.get("draw"))
    return dihedral(int(draws.masked(draws.randint(0, 7) if fixed is None else fixed, facts["p"], 0)))


def _rotate(draws: Draws, facts: Facts) -> Tensor:
    degrees = float(facts["max_deg"])
    return rotation(draws.masked(_drawn(draws, facts, "draw", -degrees, degrees), facts["p"], 0.0))


def _zoom(draws: Draws, facts: Facts) -> Tensor:
    scale = _drawn(draws, facts, "draw", float(facts["min_zoom"]), float(facts["max_zoom"]))
    scale = draws.masked(scale, facts["p"], 1.0)
    return zoom(scale, _drawn(draws, facts, "draw_x", 0, 1), _drawn(draws, facts, "draw_y", 0, 1))


def _warp(draws: Draws, facts: Facts) -> Tensor:
    limit = float(facts["magnitude"])
    x, y = (draws.masked(_drawn(draws, facts, n, -limit, limit), facts["p"], 0.0) for n in ("draw_x", "draw_y"))
    return perspective(x, y)


_MATRICES: dict[str, Callable[[Draws, Facts], Tensor]] = {
    f"{_AUGMENT}flip_mat": _flip,
    f"{_AUGMENT}dihedral_mat": _dihedral,
    f"{_AUGMENT}rotate_mat": _rotate,
    f"{_AUGMENT}zoom_mat": _zoom,
    f"{_AUGMENT}_WarpCoord": _warp,
}


def _parts(record: Record, name: str, draws: Draws, left_out: list[str]) -> list[Tensor]:
    """Matrices of the functions in the attribute `name`."""
    found = []
    for part in as_list(record.get(name)):
        path, facts = _function(part)
        try:
            found.append(_MATRICES[path](draws, facts))
        except (LeftOut, KeyError, TypeError, ValueError, IndexError):
            left_out.append(path.rpartition(".")[2])
    return found


def _function(part: Any) -> tuple[str, Facts]:
    """Path and arguments of a `functools.partial`, or path and attributes of an object."""
    if not isinstance(part, Record):
        return path_of(part), {}
    if part.path == "functools.partial" and isinstance(part.state, tuple) and isinstance(part.state[2], dict):
        return path_of(part.args[0]), part.state[2]
    return part.path, part.attrs


def affine(record: Record, draws: Draws, size: Size, left_out: list[str]) -> nn.Module:
    """Flips, rotations, zooms and warps as one layer."""
    where = record.path
    width, height = (size[1], size[0]) if record.get("size") is None else size_of(record, where, swapped=True)
    sampling = Sampling(
        choice_of(record, where, "mode", MODES),
        choice_of(record, where, "pad_mode", PAD_MODES),
        bool(record.get("align_corners")),
    )
    matrix = torch.eye(3)
    for each in _parts(record, "aff_fs", draws, left_out):
        matrix = matrix @ each
    return affine_copy(matrix, _parts(record, "coord_fs", draws, left_out), sampling, size, (height, width))


def random_resized_crop_gpu(record: Record, draws: Draws, size: Size, left_out: list[str]) -> nn.Module:  # noqa: ARG001
    """A crop of a drawn area, ratio and position, resized to one size."""
    (h, w), where = size, record.path
    width, height = size_of(record, where, swapped=True)
    low, high = map(float, record.get("ratio"))
    sampling = Sampling(choice_of(record, where, "mode", MODES))
    for _ in range(_ATTEMPTS):
        area = draws.uniform(float(record.get("min_scale")), float(record.get("max_scale", 1.0))) * w * h
        ratio = math.exp(draws.uniform(math.log(low), math.log(high)))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if wide <= w and tall <= h:
            top, left = draws.randint(0, h - tall), draws.randint(0, w - wide)
            break
    else:
        top, left, tall, wide = CentreCrop((low, high), 1.0).box(h, w)
    return nn.Sequential(Slice(top, left, tall, wide), fixed_form(sampling, (tall, wide), (height, width)))


def lighting(record: Record, draws: Draws, size: Size, left_out: list[str]) -> nn.Module:  # noqa: ARG001
    """Brightness and contrast."""
    changes = []
    for part in as_list(record.get("fs")):
        path, facts = _function(part)
        name = path.rpartition(".")[2].removeprefix("_").removesuffix("Logit").lower()
        try:
            limit = float(facts["max_lighting"])
            if name == "brightness":
                drawn = _drawn(draws, facts, "draw", 0.5 * (1 - limit), 0.5 * (1 + limit))
                changes.append((name, draws.masked(drawn, facts["p"], 0.5)))
            elif name == "contrast":
                fixed = draws.fixed(facts.get("draw"))
                drawn = math.exp(draws.uniform(math.log(1 - limit), -math.log(1 - limit))) if fixed is None else fixed
                changes.append((name, draws.masked(drawn, facts["p"], 1.0)))
            else:
                raise LeftOut
        except (LeftOut, KeyError, TypeError, ValueError):
            left_out.append(name)
    return Lighting(changes) if changes else nn.Identity()


BATCH_COPIES: dict[str, BatchCopy] = {
    **{f"{_AUGMENT}{name}": affine for name in FAMILY},
    f"{_AUGMENT}RandomResizedCropGPU": random_resized_crop_gpu,
    **{f"{_AUGMENT}{name}": lighting for name in ("Brightness", "Contrast", "LightingTfm")},
}
"""Functions that make the layer of one copy, by the class path of the transform."""
