"""fastai's RandomResizedCrop: resizes to slightly more than the size, and crops the centre; or a drawn crop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import (
    Crop,
    apply_crops,
    centre_corner,
    check_crop_options,
    check_draws,
    drawn_integer,
)
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, invalid

_ATTEMPTS = 10  # of fastai to find a crop that fits
_MAX_RATIO = 1e6


@dataclass(frozen=True, slots=True)
class RandomResizedCrop(PictureStep):
    """Validation, or an augmented copy if there are `draws`.

    Attributes:
        size: width and height.
        val_xtra: share that is cropped away in validation.
        resample: Pillow's number of the filter.
        scale, ratio: ranges of the area and of width / height of a drawn crop.
        draws: numbers of [0, 1) for an area and a ratio in each of ten attempts, and for the position.
    """

    size: Size
    val_xtra: float
    resample: int
    scale: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    draws: tuple[float, ...] | None = None

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, self._crops(picture.image.size))

    def _crops(self, size: Size) -> list[Crop]:
        if self.draws is not None:
            return [Crop(*self._drawn_box(size, iter(self.draws)), resize_to=self.size, resample=self.resample)]
        extra = math.ceil(max(self.size) * self.val_xtra / 8) * 8
        enlarged = (self.size[0] + extra, self.size[1] + extra)
        resized = Crop(size, (0, 0), resize_to=enlarged, resample=self.resample)
        return [resized] if extra == 0 else [resized, Crop(self.size, centre_corner(enlarged, self.size))]

    def _drawn_box(self, size: Size, draws: Iterator[float]) -> tuple[Size, tuple[int, int]]:
        """Size and corner of the first drawn crop that fits into the picture; else of the largest allowed one."""
        (w, h), (smallest, largest), (low, high) = size, self.scale, self.ratio
        for _ in range(_ATTEMPTS):
            area = (smallest + (largest - smallest) * next(draws)) * w * h
            ratio = math.exp(math.log(low) + (math.log(high) - math.log(low)) * next(draws))
            cw, ch = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if cw <= w and ch <= h:
                return (cw, ch), (drawn_integer(next(draws), 0, w - cw), drawn_integer(next(draws), 0, h - ch))
        box = (w, int(w / low)) if w / h < low else (int(h * high), h) if w / h > high else (w, h)
        return box, centre_corner(size, box)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomResizedCrop:
    """Read ``{"size": [width, height], "val_xtra", "resample", ...}``; `path` is its place, for messages."""
    step = build(RandomResizedCrop, state, path, ignored=("step",))
    if not 0 <= step.val_xtra < 1:
        raise invalid(f"{path}.val_xtra", "from 0 to below 1", step.val_xtra)
    if not (min(*step.scale, *step.ratio) > 0 and max(step.scale) <= 1 and max(step.ratio) < _MAX_RATIO):
        raise invalid(f"{path}.scale and ratio", "shares of the area, and positive ratios", None)
    check_draws(path, step.draws, 2 * _ATTEMPTS + 2)
    check_crop_options(path, size=step.size, resample=step.resample)
    return step
