"""fastai's RandomResizedCrop where it is not random: squeezed to a little over the size, and the middle of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.frames import Size
from fastmar_runtime.framing import Cut, centred, cut_all
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch


@dataclass(frozen=True, slots=True)
class RandomResizedCrop:
    """Attributes: `size` (width, height), `val_xtra` (share of it that is cut away), `resample` (Pillow's number)."""

    size: Size
    val_xtra: float
    resample: int

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Every picture in `size`."""
        return cut_all(batch, report, self._plan)

    def _plan(self, size: Size) -> list[Cut]:
        extra = math.ceil(max(self.size) * self.val_xtra / 8) * 8
        larger = (self.size[0] + extra, self.size[1] + extra)
        squeezed = Cut(size, (0, 0), resize_to=larger, resample=self.resample)
        return [squeezed] if extra == 0 else [squeezed, Cut(self.size, centred(larger, self.size))]


def from_state(state: dict[str, Any]) -> RandomResizedCrop:
    """Read ``{"size": [width, height], "val_xtra", "resample"}``."""
    width, height = state["size"]
    return RandomResizedCrop((width, height), state["val_xtra"], state["resample"])
