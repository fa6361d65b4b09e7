"""fastai's RandomResizedCrop in validation: resizes to slightly more than the size, and crops the centre."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import Crop, apply_crops, centre_corner, check_crop_options
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, invalid


@dataclass(frozen=True, slots=True)
class RandomResizedCrop(PictureStep):
    """Attributes: `size` (width, height), `val_xtra` (share that is cropped away), `resample` (Pillow's number)."""

    size: Size
    val_xtra: float
    resample: int

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, self._crops(picture.image.size))

    def _crops(self, size: Size) -> list[Crop]:
        extra = math.ceil(max(self.size) * self.val_xtra / 8) * 8
        enlarged = (self.size[0] + extra, self.size[1] + extra)
        resized = Crop(size, (0, 0), resize_to=enlarged, resample=self.resample)
        return [resized] if extra == 0 else [resized, Crop(self.size, centre_corner(enlarged, self.size))]


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomResizedCrop:
    """Read ``{"size": [width, height], "val_xtra", "resample"}``; `path` is its place, for messages."""
    step = build(RandomResizedCrop, state, path, ignored=("step",))
    if not 0 <= step.val_xtra < 1:
        raise invalid(f"{path}.val_xtra", "from 0 to below 1", step.val_xtra)
    check_crop_options(path, size=step.size, resample=step.resample)
    return step
