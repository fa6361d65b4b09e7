"""Activations of fastai's losses, applied to the graph's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.validation import invalid


def softmax(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Over the last axis, shifted by the maximum as torch does; float32 in, float32 out."""
    # The ufuncs' `reduce` is what x.max and e.sum call. For a lone record, the calls take longer than the arithmetic.
    e = np.exp(x - np.maximum.reduce(x, axis=-1, keepdims=True))
    return np.asarray(e / np.add.reduce(e, axis=-1, keepdims=True))


def sigmoid(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Elementwise, without overflow at either end."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)), dtype=x.dtype)


def all_finite(x: npt.NDArray[Any]) -> bool:
    """Whether no element is NaN or infinite. Counting takes a third of the time of `.all()` on a small array."""
    return bool(np.count_nonzero(np.isfinite(x)) == x.size)


ACTIVATIONS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "identity": lambda x: x,
}


def check_activation(name: str, path: str) -> None:
    """Raise `BundleUnreadable` if the activation is unknown; `path` is the place of the decoder in the spec."""
    if name not in ACTIVATIONS:
        raise invalid(f"{path}.activation", f"one of {', '.join(ACTIVATIONS)}", name)
