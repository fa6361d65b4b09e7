"""RandomResizedCrop: at inference, a centre crop of a resized picture."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import number_of, require_always, resample_of, size_of
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record


@converter("fastai.vision.augment.RandomResizedCrop", domain=ITEM)
def random_resized_crop(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height], "val_xtra", "resample"}``."""
    require_always(record, where)
    pictures.size = size_of(record, where)
    return {
        "step": "random_resized_crop",
        "size": list(pictures.size),
        "val_xtra": number_of(record, where, "val_xtra"),
        "resample": resample_of(record, where),
    }
