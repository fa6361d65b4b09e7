"""Resize: its size is recorded as (width, height)."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import choice_of, require_always, resample_of, size_of
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record

PAD_MODES = ("zeros", "border", "reflection")


@converter("fastai.vision.augment.Resize", domain=ITEM)
def resize(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height], "method", "pad_mode", "resample"}``."""
    require_always(record, where)
    pictures.size = size_of(record, where)
    return {
        "step": "resize",
        "size": list(pictures.size),
        "method": choice_of(record, where, "method", ("crop", "pad", "squish")),
        "pad_mode": choice_of(record, where, "pad_mode", PAD_MODES),
        "resample": resample_of(record, where),
    }
