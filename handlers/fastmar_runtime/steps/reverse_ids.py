"""fastai's reverse_text: reverses the ids, for networks that read texts backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.steps import TextStep
from fastmar_runtime.validation import build


@dataclass(frozen=True, slots=True)
class ReverseIds(TextStep):
    """Has no attributes."""

    def __call__(self, value: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The ids from the last to the first, `int64 [time]`."""
        return value[::-1].copy()


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> ReverseIds:
    """Read a state without attributes; `path` is its place, for messages."""
    return build(ReverseIds, state, path, ignored=("step",))
