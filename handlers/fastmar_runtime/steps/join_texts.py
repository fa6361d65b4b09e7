"""fastai's Tokenizer.from_df with several columns: joins the texts of a record's columns to one text.

Source: `fastai.text.core._join_texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastmar_runtime.steps import TextStep
from fastmar_runtime.text.rules import FLD
from fastmar_runtime.validation import build, unreadable


@dataclass(frozen=True, slots=True)
class JoinTexts(TextStep):
    """Attributes: names of the `columns` in their order; with `mark_fields`, "xxfld 1 " is put before the first one."""

    columns: tuple[str, ...]
    mark_fields: bool

    def __call__(self, value: str | Mapping[str, str]) -> str:
        """The joined texts of `columns`. A text is already joined, and is returned as it is, as in `learn.predict`."""
        if isinstance(value, str):
            return value
        texts = [value[name] for name in self.columns]
        if not self.mark_fields:
            return " ".join(texts)
        return " ".join(f"{FLD} {number} {text}" for number, text in enumerate(texts, 1))


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> JoinTexts:
    """Read ``{"columns": [name, ...], "mark_fields"}``; `path` is its place, for messages."""
    step = build(JoinTexts, state, path, ignored=("step",))
    if len(step.columns) < 2 or len(set(step.columns)) != len(step.columns):
        raise unreadable(f"{path}.columns must be at least two different names")
    return step
