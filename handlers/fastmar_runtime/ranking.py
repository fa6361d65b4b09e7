"""The largest of many numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def largest(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Positions of the `k` largest of `values`, [numbers], the largest first; of equal values, the first one."""
    positions = np.arange(len(values))
    if k < len(values):  # sorting all would take longer than the network
        positions = np.flatnonzero(values >= np.partition(values, len(values) - k)[len(values) - k])
    return positions[np.argsort(-values[positions], kind="stable")[:k]]
