"""Graph outputs to answers where they are places in a picture: points and masks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastmar_runtime.frames import Frame
from fastmar_runtime.pictures import ORIGINAL_SIZE

Answers = list[dict[str, Any]]

MOST_IN_A_BYTE = 255  # classes that leave a value of an 8 bit mask for pixels that the model did not see


class Points:
    """fastai's TensorPoint: ``{"prediction": [[x, y], ...], "points_model": [[x, y], ...]}``.

    The network says where points are between -1 and 1 of its input. `points_model` are pixels of that, as
    `learn.predict` has them; `prediction` are pixels of the picture that was sent.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._count = int(state["size"]) // 2

    def __call__(self, output: npt.NDArray[Any], frames: Sequence[Frame] = ()) -> Answers:
        """Output [batch, 2 * points] float32."""
        answers = []
        for row, frame in zip(output.reshape(len(output), self._count, 2), frames, strict=True):
            # fastai's order of operations, in float32: (y + 1) * size / 2
            points = (row + np.float32(1)) * np.array(frame.size, np.float32) / np.float32(2)
            sent = points.astype(np.float64) * frame.scale + frame.offset
            answers.append({"prediction": sent.tolist(), "points_model": points.tolist()})
        return answers


class Segmentation:
    """A class for each pixel, as a PNG: ``{"prediction": {"mask", "width", "height", "classes"}}``."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._names = [str(name) for name in state["classes"]]
        self._threshold = np.float32(float(state["threshold"])) if state["activation"] == "sigmoid" else None

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
