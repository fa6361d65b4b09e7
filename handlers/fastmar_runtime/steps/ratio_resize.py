"""fastai's RatioResize: resizes the longer side to a length, the other side in proportion.

fastai rounds the size, then crops the remaining pixels at a random position, also in `learn.predict`. This step crops
the centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import REFLECTION, Crop, apply_crops, check_crop_options, fit_crop
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class RatioResize(PictureStep):
    """Attributes: `max_size` (pixels of the longer side) and `resample` (Pillow's number of the filter)."""

    max_size: int
    resample: int

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with its longer side of `max_size` pixels."""
        return apply_crops(picture, self._crops(picture.image.size))

    def _crops(self, size: Size) -> list[Crop]:
        w, h = size
        longest = self.max_size
        width, height = (longest, int(h * longest / w)) if w >= h else (int(w * longest / h), longest)
        if min(width, height) < 1:
            return [Crop((0, 0), (0, 0))]  # is refused
        return [fit_crop(size, (width, height), pad=False, pad_mode=REFLECTION, resample=self.resample)]


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RatioResize:
    """Read ``{"max_size", "resample"}``; `path` is its place, for messages."""
    step = build(RatioResize, state, path, ignored=("step",))
    check_crop_options(path, size=(step.max_size, step.max_size), resample=step.resample)
    return step
