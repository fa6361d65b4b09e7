"""ToTensor of pictures."""

from __future__ import annotations

from fastmar_export.converters import ITEM, Pictures, State, converter
from fastmar_export.reader import Record


@converter("fastai.data.transforms.ToTensor", domain=ITEM)
def to_tensor(record: Record, where: str, pictures: Pictures) -> State:  # noqa: ARG001
    """It has no state."""
    return {"step": "to_tensor"}
