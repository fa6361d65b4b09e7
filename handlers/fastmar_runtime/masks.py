"""Masks: from the graph's output to a PNG, and back. Imports Pillow."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastmar_runtime.answers import Answers
from fastmar_runtime.frames import Frame
from fastmar_runtime.pictures import ORIGINAL_SIZE

MOST_IN_A_BYTE = 255  # classes that leave a value of an 8 bit mask for pixels that the model did not see


class MaskDecoder:
    """Turns the graph's output into answers with a mask.

    Args:
        names: of the classes.
        threshold: above which the sigmoid of the one output makes a pixel the second class; None where the largest of
            several outputs names the class.
    """

    def __init__(self, names: list[str], threshold: float | None) -> None:
        self._names = names
        self._threshold = None if threshold is None else np.float32(threshold)

    def __call__(self, output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:
        """Output [batch, classes, height, width] float32, before activation, which changes no largest value."""
        if self._threshold is None:
            masks = output.argmax(axis=1)
        else:
            # sigmoid(x) > t is x > log(t / (1 - t)), except at the very border
            masks = (output[:, 0] > np.log(self._threshold / (1 - self._threshold))).astype(np.int64)
        return [self._answer(mask, frame) for mask, frame in zip(masks, frames, strict=True)]

    def _answer(self, mask: npt.NDArray[Any], frame: Frame) -> dict[str, Any]:
        small = len(self._names) <= MOST_IN_A_BYTE
        mask = mask.astype(np.uint8 if small else np.uint16)
        unseen = 255 if small else 65535
        if frame.mask_size == ORIGINAL_SIZE:
            mask = to_sent_picture(mask, frame, unseen)
        values, counts = np.unique(mask, return_counts=True)
        classes = [
            {"index": int(value), "name": None if value == unseen else self._name(int(value)), "pixels": int(count)}
            for value, count in zip(values, counts, strict=True)
        ]
        height, width = mask.shape
        return {"prediction": {"mask": png(mask), "width": width, "height": height, "classes": classes}}

    def _name(self, value: int) -> str:
        return self._names[value] if value < len(self._names) else str(value)


def to_sent_picture(mask: npt.NDArray[Any], frame: Frame, unseen: int) -> npt.NDArray[Any]:
    """`mask` in the size of the picture that was sent, each pixel the nearest of the mask's.

    Pixels that were cut away before the network saw them are `unseen`.
    """
    height, width = mask.shape
    columns = _nearest(frame.sent[0], frame.scale[0], frame.offset[0])
    rows = _nearest(frame.sent[1], frame.scale[1], frame.offset[1])
    full = np.full((frame.sent[1], frame.sent[0]), unseen, mask.dtype)
    across, down = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
    full[np.ix_(down, across)] = mask[np.ix_(rows[down], columns[across])]
    return full


def _nearest(length: int, scale: float, offset: float) -> npt.NDArray[np.int64]:
    """For each pixel of the picture sent, by its middle, the pixel of the mask that lies there."""
    places: npt.NDArray[np.int64] = np.floor((np.arange(length) + 0.5 - offset) / scale).astype(np.int64)
    return places


def png(mask: npt.NDArray[Any]) -> str:
    """A grey PNG of `mask`, uint8 or uint16 [height, width], in base64."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", compress_level=4)
    return base64.b64encode(buffer.getvalue()).decode()


def read_png(text: str) -> npt.NDArray[Any]:
    """The mask that `png` wrote."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.asarray(image)


def mask_difference(ours: str, theirs: str) -> float | None:
    """The share of the pixels in which two masks differ, PNGs in base64.

    None where they have different sizes, or one is no picture.
    """
    try:
        a, b = read_png(ours), read_png(theirs)
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError):
        return None
    return float(np.mean(a != b)) if a.shape == b.shape else None
