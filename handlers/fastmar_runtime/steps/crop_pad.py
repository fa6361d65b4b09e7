"""fastai's CropPad: the middle of a picture, padded where it is smaller than the size. Nothing is scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.frames import Size
from fastmar_runtime.framing import Cut, centred, check_geometry, cut_all
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class CropPad:
    """Attributes: `size` (width, height) and `pad_mode`."""

    size: Size
    pad_mode: str

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Every picture in `size`."""
        return cut_all(batch, report, lambda size: [Cut(self.size, centred(size, self.size), self.pad_mode)])


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> CropPad:
    """Read ``{"size": [width, height], "pad_mode"}``; `path` is where it stands, for messages."""
    step = build(CropPad, state, path, ignored=("step",))
    check_geometry(path, size=step.size, pad_mode=step.pad_mode)
    return step
