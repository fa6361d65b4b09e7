"""fastai's ToTensor: pixels as bytes by channel; checks the size of the picture."""

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
    """Converts a picture to an array. The limits are for learners that do not resize pictures to one size.

    Attributes:
        size: width and height that the network requires, or None.
        max_pixels: maximum of pixels, because the network needs memory for each pixel.
        max_side: maximum of each side, because transforms in the graph need memory for the square of a side.
    """

    size: tuple[int, int] | None = None
    max_pixels: int | None = None
    max_side: int | None = None

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """The picture with `image` as uint8 [3, height, width], or [1, height, width] if it is grey.

        Raises:
            RecordError: the network does not accept its size.
        """
        error = self._refusal(*picture.image.size)
        if error is not None:
            raise error
        return DecodedPicture(_channels(picture.image), picture.geometry)

    def _refusal(self, width: int, height: int) -> RecordError | None:
        size = f"{width} x {height} pixels"
        if self.size is not None and (width, height) != self.size:
            required = f"{self.size[0]} x {self.size[1]}"
            return RecordError(
                "bad_shape",
                f"the picture has {size}; this model requires {required}.",
                fix=f"send pictures of {required} pixels, as in training.",
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
        f"the picture has {size} at the network, over the limit of {limit}.",
        fix="send a smaller picture, or export with a higher --max-pixels if there is enough memory.",
        field=IMAGE,
    )


def _channels(image: Any) -> Any:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> ToTensor:
    """Read ``{"size", "max_pixels", "max_side"}``, all optional; `path` is its place, for messages."""
    return build(ToTensor, state, path, ignored=("step",))
