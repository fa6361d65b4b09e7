"""Counts each letter in a text."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LetterCounts:
    column: str

    def __call__(self, batch: dict[str, Any], report: Any) -> dict[str, Any]:
        counts = [[text.lower().count(letter) for letter in ascii_lowercase] for text in batch[self.column]]
        return {"input": np.array(counts, np.float32)}


def from_state(state: dict[str, Any], path: str) -> LetterCounts:
    return LetterCounts(state["column"])
