"""CropPad: a centre crop, with padding for small pictures."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import choice_of, size_of
from fastmar_export.modalities.vision.converters.resize import PAD_MODES
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record


@converter("fastai.vision.augment.CropPad", domain=ITEM)
def crop_pad(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height], "pad_mode"}``."""
    pictures.size = size_of(record, where)
    return {
        "step": "crop_pad",
        "size": list(pictures.size),
        "pad_mode": choice_of(record, where, "pad_mode", PAD_MODES),
    }
