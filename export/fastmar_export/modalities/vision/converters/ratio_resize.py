"""RatioResize: random in fastai also when it predicts, here always the middle."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.pictures import ITEM, Pictures
from fastmar_export.modalities.vision.recorded import number_of, resample_of
from fastmar_export.reader import Record


@converter("fastai.vision.augment.RatioResize", domain=ITEM)
def ratio_resize(record: Record, where: str, pictures: Pictures) -> State:
    """``{"max_size", "resample"}``."""
    pictures.size = None
    pictures.notice(
        "ratio_resize",
        "learn.predict with RatioResize cuts up to a pixel off at a random side, so that its answers to one picture "
        "differ; this model always cuts off both sides evenly.",
    )
    return {
        "step": "ratio_resize",
        "max_size": int(number_of(record, where, "max_sz")),
        "resample": resample_of(record, where),
    }
