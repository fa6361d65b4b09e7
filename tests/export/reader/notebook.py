"""What somebody defined in a notebook: exported by value, as `__main__` would be, or by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastai.callback.core import Callback


class RememberBatches(Callback):
    """A callback that keeps what it saw."""

    batches: Any = None

    def before_batch(self) -> None:
        """Nothing here; what matters is that it is the user's."""


def label(row: Any) -> str:
    return str(row["sold"])


def picture(index: int) -> Any:
    return np.full((8, 8, 3), index, dtype=np.uint8)


def parity(index: int) -> int:
    return index % 2
