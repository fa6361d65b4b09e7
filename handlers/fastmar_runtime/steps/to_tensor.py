"""fastai's ToTensor: a picture becomes bytes by channel, if the network takes one of its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmar_contract.errors import RecordError
from fastmar_runtime.spec import IMAGE
from fastmar_runtime.steps import DecodedPicture, PictureStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class ToTensor(PictureStep):
    """A picture's bytes by channel. The limits are of learners that leave pictures in several sizes.

    Attributes:
        size: width and height that the network takes, where it takes no others.
        max_pixels: larger pictures are refused: the network would take memory for each of their pixels.
        max_side: so are longer or wider ones: transforms in the graph take memory for the square of a side.
    """

    size: tuple[int, int] | None = None
    max_pixels: int | None = None
    max_side: int | None = None

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture's `image` as uint8 [3, height, width], or [1, height, width] where it is grey.

        Raises:
            RecordError: the network does not take one of its size.
        """
        error = self._refusal(*picture.image.size)
        if error is not None:
            raise error
        return DecodedPicture(_channels(picture.image), picture.geometry)

    def _refusal(self, width: int, height: int) -> RecordError | None:
        size = f"{width} x {height} pixels"
        if self.size is not None and (width, height) != self.size:
            only = f"{self.size[0]} x {self.size[1]}"
            return RecordError(
                "bad_shape",
                f"the picture is {size} large, and this model takes {only} alone.",
                fix=f"send pictures of {only} pixels, as it was trained with.",
                field=IMAGE,
            )
        if self.max_side is not None and max(width, height) > self.max_side:
            return _too_large(size, f"{self.max_side:,} pixels a side")
        if self.max_pixels is not None and width * height > self.max_pixels:
            return _too_large(size, f"{self.max_pixels:,} pixels")
        return None


def _too_large(size: str, limit: str) -> RecordError:
    return RecordError(
        "too_many_pixels",
        f"the network would see the picture in {size}, over its limit of {limit}.",
        fix="send a smaller picture, or export with a higher --max-pixels where there is memory for it.",
        field=IMAGE,
    )


def _channels(image: Any) -> Any:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> ToTensor:
    """Read ``{"size", "max_pixels", "max_side"}``, which may be missing; `path` is for messages."""
    return build(ToTensor, state, path, ignored=("step",))
