"""fastai's RandomCrop in validation: crops the centre of a picture, with black padding around smaller ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.cropping import Crop, apply_crops, centre_corner, check_crop_options
from fastmar_runtime.geometry import Size
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class RandomCrop(PictureStep):
    """Attributes: `size` (width, height)."""

    size: Size

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, [Crop(self.size, centre_corner(picture.image.size, self.size))])


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomCrop:
    """Read ``{"size": [width, height]}``; `path` is its place, for messages."""
    step = build(RandomCrop, state, path, ignored=("step",))
    check_crop_options(path, size=step.size)
    return step
