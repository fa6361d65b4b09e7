"""fastai's RandomCrop where it is not random: the middle of a picture, black where it is smaller than the size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.frames import Size
from fastmar_runtime.framing import Cut, centred, check_geometry, cut_all
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class RandomCrop:
    """Attributes: `size` (width, height)."""

    size: Size

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Every picture in `size`."""
        return cut_all(batch, report, lambda size: [Cut(self.size, centred(size, self.size))])


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> RandomCrop:
    """Read ``{"size": [width, height]}``; `path` is where it stands, for messages."""
    step = build(RandomCrop, state, path, ignored=("step",))
    check_geometry(path, size=step.size)
    return step
