"""fastai's Resize: resizes pictures to one size by cropping, padding or squishing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import CENTRE, Crop, apply_crops, check_crop_options, check_draws, fit_crop
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build, invalid

CROP, PAD, SQUISH = "crop", "pad", "squish"
METHODS = (CROP, PAD, SQUISH)


@dataclass(frozen=True, slots=True)
class Resize(PictureStep):
    """Attributes: `size` (width, height), `method`, `pad_mode`, and `resample`, Pillow's number of the filter.

    `draws` are the position of the crop for an augmented copy; the plain picture has it in the centre.
    """

    size: Size
    method: str
    pad_mode: str
    resample: int
    draws: tuple[float, float] | None = None

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, self._crops(picture.image.size))

    def _crops(self, size: Size) -> list[Crop]:
        if self.method == SQUISH:
            return [Crop(size, (0, 0), self.pad_mode, self.size, self.resample)]
        pad, place = self.method == PAD, self.draws or CENTRE
        return [fit_crop(size, self.size, pad=pad, pad_mode=self.pad_mode, resample=self.resample, place=place)]


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Resize:
    """Read ``{"size": [width, height], "method", "pad_mode", "resample", ...}``; `path` is its place, for messages."""
    step = build(Resize, state, path, ignored=("step",))
    if step.method not in METHODS:
        raise invalid(f"{path}.method", f"one of {', '.join(METHODS)}", step.method)
    check_crop_options(path, size=step.size, pad_mode=step.pad_mode, resample=step.resample)
    check_draws(path, step.draws, 2)
    return step
