"""ToTensor for pictures, with limits for networks that accept any size."""

from __future__ import annotations

from math import isqrt

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record


@converter("fastai.data.transforms.ToTensor", domain=ITEM)
def to_tensor(record: Record, where: str, pictures: Pictures) -> State:  # noqa: ARG001
    """``{"max_pixels", "max_side"}`` if pictures of any size reach the network without being resized."""
    if pictures.size is not None:
        return {"step": "to_tensor"}
    return {"step": "to_tensor", "max_pixels": pictures.max_pixels, "max_side": 2 * isqrt(pictures.max_pixels)}
