"""fastai's Resize: a picture to one size, by cutting, padding or squeezing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.frames import Size
from fastmar_runtime.framing import Cut, cut_all, fitted
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch

CROP, PAD, SQUISH = "crop", "pad", "squish"
METHODS = (CROP, PAD, SQUISH)


@dataclass(frozen=True, slots=True)
class Resize:
    """Attributes: `size` (width, height), `method`, `pad_mode`, and `resample`, Pillow's number of the filter."""

    size: Size
    method: str
    pad_mode: str
    resample: int

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Every picture in `size`."""
        return cut_all(batch, report, self._plan)

    def _plan(self, size: Size) -> list[Cut]:
        if self.method == SQUISH:
            return [Cut(size, (0, 0), self.pad_mode, self.size, self.resample)]
        return [fitted(size, self.size, pad=self.method == PAD, pad_mode=self.pad_mode, resample=self.resample)]


def from_state(state: dict[str, Any]) -> Resize:
    """Read ``{"size": [width, height], "method", "pad_mode", "resample"}``."""
    if state["method"] not in METHODS:
        raise ValueError(state["method"])
    width, height = state["size"]
    return Resize((width, height), state["method"], state["pad_mode"], state["resample"])
