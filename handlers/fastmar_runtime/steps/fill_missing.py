"""fastai's FillMissing: replaces nulls of numeric columns by a learned value, and adds columns that flag them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.report import Report
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class FillMissing:
    """Attributes: `fills` (column to value: fastai's `na_dict`), `add_col` (whether ``NAME_na`` is added)."""

    fills: dict[str, float]
    add_col: bool

    def __call__(self, batch: Batch, report: Report) -> Batch:  # noqa: ARG002
        """Fill nulls. A flag column that the record has is overwritten, as in fastai."""
        filled = dict(batch)
        for name, value in self.fills.items():
            column = batch[name]
            has_nulls = None in column  # most columns have none, and are kept as they are
            if has_nulls:
                filled[name] = [value if x is None else x for x in column]
            if self.add_col:
                filled[f"{name}_na"] = [x is None for x in column] if has_nulls else [False] * len(column)
        return filled


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> FillMissing:
    """Read ``{"fills": {column: value}, "add_col": bool}``; `path` is its place, for messages."""
    return build(FillMissing, state, path, ignored=("step",))
