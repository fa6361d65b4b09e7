"""fastai's RandomResizedCrop where it is not random: squeezed to a little over the size, and the middle of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import Crop, apply_crops, centre_corner, check_geometry
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, wrong


@dataclass(frozen=True, slots=True)
class RandomResizedCrop(PictureStep):
    """Attributes: `size` (width, height), `val_xtra` (share of it that is cut away), `resample` (Pillow's number)."""

    size: Size
    val_xtra: float
    resample: int

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture in `size`."""
        return apply_crops(picture, self._crops(picture.image.size))

    def _crops(self, size: Size) -> list[Crop]:
        extra = math.ceil(max(self.size) * self.val_xtra / 8) * 8
        larger = (self.size[0] + extra, self.size[1] + extra)
        squeezed = Crop(size, (0, 0), resize_to=larger, resample=self.resample)
        return [squeezed] if extra == 0 else [squeezed, Crop(self.size, centre_corner(larger, self.size))]


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomResizedCrop:
    """Read ``{"size": [width, height], "val_xtra", "resample"}``; `path` is where it stands, for messages."""
    step = build(RandomResizedCrop, state, path, ignored=("step",))
    if not 0 <= step.val_xtra < 1:
        raise wrong(f"{path}.val_xtra", "from 0 to below 1", step.val_xtra)
    check_geometry(path, size=step.size, resample=step.resample)
    return step
