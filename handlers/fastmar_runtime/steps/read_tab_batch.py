"""fastai's ReadTabBatch: columns to the network's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_contract.values import null_not_filled
from fastmar_runtime.activations import all_finite
from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class ReadTabBatch:
    """Attributes: `cats` and `conts`, columns in the order of the network; an empty list gives no input."""

    cats: tuple[str, ...]
    conts: tuple[str, ...]

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """``x_cat`` int64 [batch, len(cats)] and ``x_cont`` float32 [batch, len(conts)]."""
        inputs: Batch = {}
        if self.cats:
            codes = [batch[name] for name in self.cats]
            inputs["x_cat"] = np.array(codes, dtype=np.int64).T
        if self.conts:
            with np.errstate(over="ignore"):  # None becomes NaN; numpy rounds each number from float64
                inputs["x_cont"] = np.array([batch[name] for name in self.conts], dtype=np.float32).T
            if not all_finite(inputs["x_cont"]):
                self._refuse_not_finite(inputs["x_cont"], report)
        return inputs

    def _refuse_not_finite(self, conts: npt.NDArray[np.float32], report: Report) -> None:
        """Refuse records with a null that was not filled, or an overflow: fastai would fail or predict NaN."""
        refused_before = set(report.errors)
        for row, column in np.argwhere(~np.isfinite(conts)):
            name = self.conts[column]
            if np.isnan(conts[row, column]):
                if int(row) in refused_before:  # the null replaces a value that could not be read
                    continue
                error = null_not_filled(name)
            else:
                error = RecordError(
                    "out_of_range",
                    f"{name!r} is so far from the training data that the network's input overflows.",
                    fix="check the number and its unit.",
                    field=name,
                )
            report.refuse(int(row), error)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> ReadTabBatch:
    """Read ``{"cats": [column], "conts": [column]}``; `path` is its place, for messages."""
    return build(ReadTabBatch, state, path, ignored=("step",))
