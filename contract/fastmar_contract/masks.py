"""The option `mask_size`: the size of a predicted mask."""

from __future__ import annotations

from typing import Literal

MASK_SIZE = "mask_size"
MODEL_SIZE: Literal["model"] = "model"
ORIGINAL_SIZE: Literal["original"] = "original"
MASK_SIZES = (MODEL_SIZE, ORIGINAL_SIZE)
MaskSize = Literal["model", "original"]


def check_mask_size(value: object) -> None:
    """Raise `ValueError` unless an argument is one of `MASK_SIZES`, or None for the default."""
    if value is not None and value not in MASK_SIZES:
        raise ValueError(f"mask_size is {value!r}. Fix: pass 'model' or 'original'.")
