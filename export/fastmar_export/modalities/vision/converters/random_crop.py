"""RandomCrop: at inference, a centre crop."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import require_always, size_of
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record


@converter("fastai.vision.augment.RandomCrop", domain=ITEM)
def random_crop(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height]}``."""
    require_always(record, where)
    pictures.size = size_of(record, where)
    return {"step": "random_crop", "size": list(pictures.size)}
