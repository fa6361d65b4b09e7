"""fastai's RandomCrop: crops the centre of a picture, or a drawn place, with black padding around smaller ones."""

from __future__ import annotations

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
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class RandomCrop(PictureStep):
    """Attributes: `size` (width, height), and `draws`, the position of the crop for an augmented copy."""

    size: Size
    draws: tuple[float, float] | None = None

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with size `size`."""
        return apply_crops(picture, [Crop(self.size, self._corner(picture.image.size))])

    def _corner(self, size: Size) -> tuple[int, int]:
        if self.draws is None:
            return centre_corner(size, self.size)
        spaces = (size[0] - self.size[0], size[1] - self.size[1])
        left, top = (drawn_integer(d, min(s, 0), -1 if s < 0 else s) for d, s in zip(self.draws, spaces, strict=True))
        return left, top


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomCrop:
    """Read ``{"size": [width, height], "draws"}``; `path` is its place, for messages."""
    step = build(RandomCrop, state, path, ignored=("step",))
    check_crop_options(path, size=step.size)
    check_draws(path, step.draws, 2)
    return step
