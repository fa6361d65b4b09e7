"""IntToFloatTensor: converts bytes to floats, and divides them."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.modalities.vision.attributes import number_of
from fastmar_export.modalities.vision.pictures import BATCH, Pictures
from fastmar_export.reader import Record


@converter("fastai.data.transforms.IntToFloatTensor", domain=BATCH)
def int_to_float_tensor(record: Record, where: str, pictures: Pictures) -> State:  # noqa: ARG001
    """``{"div"}``; the divisor for masks does not influence answers."""
    return {"layer": "int_to_float_tensor", "div": number_of(record, where, "div", 255.0)}
