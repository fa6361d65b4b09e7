"""fastai's RandomCrop where it is not random: the middle of a picture, black where it is smaller than the size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.frames import Size
from fastmar_runtime.framing import Cut, centred, check_geometry, cut_in_turn
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class RandomCrop(PictureStep):
    """Attributes: `size` (width, height)."""

    size: Size

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture in `size`."""
        return cut_in_turn(picture, [Cut(self.size, centred(picture.image.size, self.size))])


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomCrop:
    """Read ``{"size": [width, height]}``; `path` is where it stands, for messages."""
    step = build(RandomCrop, state, path, ignored=("step",))
    check_geometry(path, size=step.size)
    return step
