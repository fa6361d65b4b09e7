"""Cropping, padding and resizing of pictures, with the same pixels as fastai.

The formulas are those of `fastai/vision/augment.py` (`crop_pad`, `Resize`) and of torchvision's `pad`, applied with
Pillow's functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fastmar_contract.errors import RecordError
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture
from fastmar_runtime.validation import invalid

ZEROS, BORDER, REFLECTION = "zeros", "border", "reflection"
PAD_MODES = {BORDER: "edge", REFLECTION: "reflect"}

_MAX_SIDE = 65_536

MAX_PADDED = 100_000_000
"""Maximum pixels of a padded picture. A line of 50,000 pixels padded to a square would take gigabytes."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop of a picture: a box, padded where it is outside of the picture, and resized afterwards.

    Attributes:
        size: width and height of the box.
        corner: left and top of the box, negative if the picture is padded there.
        pad_mode: ``"zeros"``, ``"border"`` or ``"reflection"``.
        resize_to: width and height after resizing, or None.
        resample: Pillow's number of the resampling filter.
    """

    size: Size
    corner: tuple[int, int]
    pad_mode: str = ZEROS
    resize_to: Size | None = None
    resample: int = Image.Resampling.BILINEAR


def crop_picture(image: Any, crop: Crop) -> Any:
    """Apply fastai's `crop_pad` to a Pillow image.

    Raises:
        RecordError: the crop is empty, or larger than `MAX_PADDED`.
    """
    (w, h), (cw, ch), (x, y) = image.size, crop.size, crop.corner
    if cw < 1 or ch < 1 or min(crop.resize_to or (1, 1)) < 1:
        raise RecordError(
            "bad_shape",
            f"the picture is {w} x {h} pixels, too narrow for a crop in the model's proportions.",
            fix="send a picture that is larger, or less elongated.",
        )
    if cw * ch > max(MAX_PADDED, w * h):
        raise RecordError(
            "bad_shape",
            f"the picture is {w} x {h} pixels, and would be padded to {cw} x {ch}.",
            fix="send a picture that is less elongated.",
        )
    if x >= 0 or y >= 0 or x + cw <= w or y + ch <= h:
        image = image.crop((max(x, 0), max(y, 0), min(x + cw, w), min(y + ch, h)))
    left, top, right, bottom = max(-x, 0), max(-y, 0), max(cw - w + x, 0), max(ch - h + y, 0)
    if left or top or right or bottom:
        image = _pad(image, (left, top, right, bottom), crop.pad_mode)
    return image if crop.resize_to is None else image.resize(crop.resize_to, crop.resample)


def _pad(image: Any, sides: tuple[int, int, int, int], pad_mode: str) -> Any:
    left, top, right, bottom = sides
    if pad_mode == ZEROS:
        w, h = image.size
        padded = Image.new(image.mode, (w + left + right, h + top + bottom))
        padded.paste(image, (left, top))
        return padded
    pixels = np.asarray(image)
    widths = ((top, bottom), (left, right), (0, 0))[: pixels.ndim]
    mode: Any = PAD_MODES[pad_mode]
    return Image.fromarray(np.pad(pixels, widths, mode))


def apply_crops(picture: DecodedPicture, crops: Sequence[Crop]) -> DecodedPicture:
    """Apply `crops` in order to the picture and its geometry.

    Raises:
        RecordError: see `crop_picture`.
    """
    image, geometry = picture.image, picture.geometry
    for crop in crops:
        image = crop_picture(image, crop)
        geometry = geometry.crop(crop.corner, crop.size, crop.resize_to or crop.size)
    return DecodedPicture(image, geometry)


def centre_corner(size: Size, target: Size) -> tuple[int, int]:
    """The corner of a crop of size `target` in the centre; rounds down, also below zero, as fastai does."""
    return (size[0] - target[0]) // 2, (size[1] - target[1]) // 2


def drawn_integer(draw: float, low: int, high: int) -> int:
    """The integer from `low` to `high` for a number of [0, 1), as Python's `randint` draws it."""
    return low + int(draw * (high - low + 1))


def check_draws(path: str, draws: Sequence[float] | None, count: int) -> None:
    """Raise `BundleUnreadable` unless there are no `draws`, or `count` of them in [0, 1)."""
    if draws is not None and (len(draws) != count or not all(0 <= draw < 1 for draw in draws)):
        raise invalid(f"{path}.draws", f"{count} numbers from 0 to below 1", None)


CENTRE = (0.5, 0.5)


def fit_crop(
    size: Size, target: Size, *, pad: bool, pad_mode: str, resample: int, place: tuple[float, float] = CENTRE
) -> Crop:
    """The crop of fastai's Resize by cropping or padding, in the target's proportions.

    `place` is the position of the crop as shares of what it leaves: (0, 0) is the upper left, (1, 1) the lower right.
    """
    (w, h), (tw, th) = size, target
    across, down = w / tw, h / th
    ratio = (max if pad else min)(across, down)
    cw, ch = int(ratio * tw), int(ratio * th)
    # int() rounds towards zero: with //, padding would differ by a pixel.
    corner = (int(place[0] * (w - cw)), int(place[1] * (h - ch)))
    return Crop((cw, ch), corner, pad_mode, target, resample)


def check_crop_options(path: str, *, size: Size, pad_mode: str = ZEROS, resample: int = 0) -> None:
    """Raise `BundleUnreadable` if the size, padding mode or filter of the step at `path` is invalid."""
    if not all(0 < side <= _MAX_SIDE for side in size):
        raise invalid(f"{path}.size", f"numbers from 1 to {_MAX_SIDE:,}", list(size))
    if pad_mode not in (ZEROS, *PAD_MODES):
        raise invalid(f"{path}.pad_mode", f"one of {', '.join((ZEROS, *PAD_MODES))}", pad_mode)
    if resample not in set(Image.Resampling):
        raise invalid(f"{path}.resample", "Pillow's number of a filter", resample)
