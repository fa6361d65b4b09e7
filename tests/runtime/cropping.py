"""Runs a step that crops or resizes a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmar_contract.errors import RecordError
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.steps import DecodedPicture, load_step
from tests.runtime import tiny_pictures as tiny


def apply_step(state: dict[str, Any], size: tuple[int, int]) -> tuple[Any, Geometry]:
    """Pixels [height, width, 3] and geometry after the step of a noisy picture of `size` (width, height)."""
    before = DecodedPicture(tiny.noise(size), Geometry(size, size))
    after = load_step(state)(before)
    assert np.array_equal(np.asarray(before.image), pixels(size)), "a step must not change its input"
    return np.asarray(after.image), after.geometry


def refusal(state: dict[str, Any], size: tuple[int, int]) -> str:
    """The error code for a picture of `size`."""
    with pytest.raises(RecordError) as caught:
        load_step(state)(DecodedPicture(tiny.noise(size), Geometry(size, size)))
    return caught.value.code


def pixels(size: tuple[int, int]) -> Any:
    """The pixels of the picture before the step."""
    return np.asarray(tiny.noise(size))
