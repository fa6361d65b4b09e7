"""fastai's Normalize for tables: ``(x - mean) / std`` in float64, as in `learn.predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build, unreadable


@dataclass(frozen=True, slots=True)
class Normalize:
    """Attributes: `means` and `stds`, by column; a std already includes fastai's 1e-7."""

    means: dict[str, float]
    stds: dict[str, float]

    def __call__(self, batch: Batch, report: Report) -> Batch:  # noqa: ARG002
        """Normalize in float64, bit for bit like fastai. Nulls (NaN in fastai) stay null."""
        normalized = dict(batch)
        for name, mean in self.means.items():
            std = self.stds[name]
            normalized[name] = [None if x is None else (x - mean) / std for x in batch[name]]
        return normalized


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Normalize:
    """Read ``{"means": {column: float}, "stds": {column: float}}``; `path` is its place, for messages."""
    step = build(Normalize, state, path, ignored=("step",))
    if step.means.keys() != step.stds.keys() or 0 in step.stds.values():
        raise unreadable(f"{path} must have a mean, and a std other than 0, for each column")
    return step
