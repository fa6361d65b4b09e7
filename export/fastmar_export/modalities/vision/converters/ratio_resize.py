"""RatioResize: fastai crops at a random position, even for predictions; here the crop is centred."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import number_of, resample_of
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.reader import Record


@converter("fastai.vision.augment.RatioResize", domain=ITEM)
def ratio_resize(record: Record, where: str, pictures: Pictures) -> State:
    """``{"max_size", "resample"}``."""
    pictures.size = None
    pictures.notice(
        "ratio_resize",
        "learn.predict with RatioResize crops up to one pixel at a random side, so that its answers for the same "
        "picture differ; this model always crops both sides evenly.",
    )
    return {
        "step": "ratio_resize",
        "max_size": int(number_of(record, where, "max_sz")),
        "resample": resample_of(record, where),
    }
