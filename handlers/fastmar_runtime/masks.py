"""Masks: conversion of the graph's output to PNG, and back. Imports Pillow."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastmar_contract.masks import ORIGINAL_SIZE
from fastmar_runtime.answers import Answers
from fastmar_runtime.geometry import Geometry

MAX_8_BIT_CLASSES = 255  # the remaining value of 8 bits marks pixels that the model did not see


class MaskDecoder:
    """Turns the graph's output into answers with a mask.

    Args:
        names: the names of the classes.
        threshold: the threshold of a network with one output: a pixel whose sigmoid is above it has the second class.
            None if there is an output per class.
    """

    def __init__(self, names: list[str], threshold: float | None) -> None:
        self._names = names
        self._threshold = None if threshold is None else np.float32(threshold)

    def __call__(self, output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
        """Decode `output`, [batch, classes, height, width] float32, before the activation, which keeps the argmax."""
        if self._threshold is None:
            masks = output.argmax(axis=1)
        else:
            # sigmoid(x) > t is x > log(t / (1 - t)), except for rounding at the threshold
            masks = (output[:, 0] > np.log(self._threshold / (1 - self._threshold))).astype(np.int64)
        return [self._answer(mask, geometry) for mask, geometry in zip(masks, geometries, strict=True)]

    def _answer(self, mask: npt.NDArray[Any], geometry: Geometry) -> dict[str, Any]:
        small = len(self._names) <= MAX_8_BIT_CLASSES
        mask = mask.astype(np.uint8 if small else np.uint16)
        unseen = 255 if small else 65535
        if geometry.mask_size == ORIGINAL_SIZE:
            mask = to_original_size(mask, geometry, unseen)
        values, counts = np.unique(mask, return_counts=True)
        classes = [
            {"index": int(value), "name": None if value == unseen else self._name(int(value)), "pixels": int(count)}
            for value, count in zip(values, counts, strict=True)
        ]
        height, width = mask.shape
        return {"prediction": {"mask": png(mask), "width": width, "height": height, "classes": classes}}

    def _name(self, value: int) -> str:
        return self._names[value] if value < len(self._names) else str(value)


def to_original_size(mask: npt.NDArray[Any], geometry: Geometry, unseen: int) -> npt.NDArray[Any]:
    """Resize `mask` to the original picture by nearest neighbour.

    Pixels that were cropped away before the network are `unseen`.
    """
    height, width = mask.shape
    columns = _nearest(geometry.sent[0], geometry.scale[0], geometry.offset[0])
    rows = _nearest(geometry.sent[1], geometry.scale[1], geometry.offset[1])
    full = np.full((geometry.sent[1], geometry.sent[0]), unseen, mask.dtype)
    across, down = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
    full[np.ix_(down, across)] = mask[np.ix_(rows[down], columns[across])]
    return full


def _nearest(length: int, scale: float, offset: float) -> npt.NDArray[np.int64]:
    """For each pixel along a side of the original picture, the index of the mask's pixel at its centre."""
    indexes: npt.NDArray[np.int64] = np.floor((np.arange(length) + 0.5 - offset) / scale).astype(np.int64)
    return indexes


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
    """The share of pixels in which two masks differ, given as base64 PNGs.

    None if their sizes differ or one is not a picture.
    """
    try:
        a, b = read_png(ours), read_png(theirs)
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError):
        return None
    return float(np.mean(a != b)) if a.shape == b.shape else None
