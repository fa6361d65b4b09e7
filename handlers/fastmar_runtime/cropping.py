"""Cutting, padding and resizing pictures as fastai does.

The formulas are those of `fastai/vision/augment.py` (`crop_pad`, `Resize`) and of torchvision's `pad`, on Pillow's own
functions, so that the pixels are the same to the last bit.
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
from fastmar_runtime.validation import wrong

ZEROS, BORDER, REFLECTION = "zeros", "border", "reflection"
PAD_MODES = {BORDER: "edge", REFLECTION: "reflect"}

_LARGEST_SIDE = 65_536

MAX_PADDED = 100_000_000
"""Pixels of a padded picture. A line of 50,000 pixels padded to a square would take gigabytes."""


@dataclass(frozen=True, slots=True)
class Crop:
    """What is done to a picture: `size` pixels from `corner` on, padded where they lie outside, then resized.

    Attributes:
        size: width and height to cut out.
        corner: left and top, negative where the picture has to be padded there.
        pad_mode: ``"zeros"``, ``"border"`` or ``"reflection"``.
        resize_to: width and height to resize to, or None.
        resample: Pillow's number of the filter.
    """

    size: Size
    corner: tuple[int, int]
    pad_mode: str = ZEROS
    resize_to: Size | None = None
    resample: int = Image.Resampling.BILINEAR


def crop_picture(image: Any, cut: Crop) -> Any:
    """Fastai's `crop_pad` of a Pillow image.

    Raises:
        RecordError: nothing is left of it, or padding would make it enormous.
    """
    (w, h), (cw, ch), (x, y) = image.size, cut.size, cut.corner
    if cw < 1 or ch < 1 or min(cut.resize_to or (1, 1)) < 1:
        raise RecordError(
            "bad_shape",
            f"the picture is {w} x {h} pixels, too narrow to be cut to the model's proportions.",
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
        image = _padded(image, (left, top, right, bottom), cut.pad_mode)
    return image if cut.resize_to is None else image.resize(cut.resize_to, cut.resample)


def _padded(image: Any, sides: tuple[int, int, int, int], pad_mode: str) -> Any:
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
    """`picture` after each of `crops`, with its geometry.

    Raises:
        RecordError: as `crop_picture` has it.
    """
    image, geometry = picture.image, picture.geometry
    for cut in crops:
        image = crop_picture(image, cut)
        geometry = geometry.cut(cut.corner, cut.size, cut.resize_to or cut.size)
    return DecodedPicture(image, geometry)


def centre_corner(size: Size, target: Size) -> tuple[int, int]:
    """Corner of a cut of `target` pixels in the middle; rounds down, also below zero, as fastai's tuples do."""
    return (size[0] - target[0]) // 2, (size[1] - target[1]) // 2


def fit_crop(size: Size, target: Size, *, pad: bool, pad_mode: str, resample: int) -> Crop:
    """Fastai's Resize by cropping or padding: the middle of a picture in the target's proportions."""
    (w, h), (tw, th) = size, target
    across, down = w / tw, h / th
    ratio = (max if pad else min)(across, down)
    cw, ch = int(ratio * tw), int(ratio * th)
    # int() rounds towards zero, so that padding differs by a pixel from what // would give.
    corner = (int(0.5 * (w - cw)), int(0.5 * (h - ch)))
    return Crop((cw, ch), corner, pad_mode, target, resample)


def check_geometry(path: str, *, size: Size, pad_mode: str = ZEROS, resample: int = 0) -> None:
    """Raise `BundleUnreadable` where the state of a step at `path` is no size, way to pad, or filter."""
    if not all(0 < side <= _LARGEST_SIDE for side in size):
        raise wrong(f"{path}.size", f"numbers from 1 to {_LARGEST_SIDE:,}", list(size))
    if pad_mode not in (ZEROS, *PAD_MODES):
        raise wrong(f"{path}.pad_mode", f"one of {', '.join((ZEROS, *PAD_MODES))}", pad_mode)
    if resample not in set(Image.Resampling):
        raise wrong(f"{path}.resample", "Pillow's number of a filter", resample)
