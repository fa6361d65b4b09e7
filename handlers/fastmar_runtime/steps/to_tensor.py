"""fastai's ToTensor: a picture becomes bytes by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch


@dataclass(frozen=True, slots=True)
class ToTensor:
    """It has no state."""

    def __call__(self, batch: Batch, report: Report) -> Batch:  # noqa: ARG002
        """Each ``image`` uint8 [3, height, width], or [1, height, width] where it is grey."""
        return {**batch, "image": [None if image is None else _channels(image) for image in batch["image"]]}


def _channels(image: Any) -> Any:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def from_state(state: dict[str, Any]) -> ToTensor:  # noqa: ARG001
    """Read nothing."""
    return ToTensor()
