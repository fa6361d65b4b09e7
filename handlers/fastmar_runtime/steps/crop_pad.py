"""fastai's CropPad: crops the centre of a picture, or pads the picture, without scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import Crop, apply_crops, centre_corner, check_crop_options
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class CropPad(PictureStep):
    """Attributes: `size` (width, height) and `pad_mode`."""

    size: Size
    pad_mode: str

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, [Crop(self.size, centre_corner(picture.image.size, self.size), self.pad_mode)])


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> CropPad:
    """Read ``{"size": [width, height], "pad_mode"}``; `path` is its place, for messages."""
    step = build(CropPad, state, path, ignored=("step",))
    check_crop_options(path, size=step.size, pad_mode=step.pad_mode)
    return step
