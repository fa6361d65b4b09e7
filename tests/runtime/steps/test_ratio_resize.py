"""RatioResize, which crops at a random position in fastai."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import apply_step, pixels, refusal

STATE = {"step": "ratio_resize", "max_size": 40, "resample": 2}


@pytest.mark.parametrize(
    ("size", "expected"), [((80, 40), (40, 20)), ((40, 80), (20, 40)), ((100, 37), (40, 14)), ((7, 7), (40, 40))]
)
def test_the_longer_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    found, geometry = apply_step(STATE, size)
    assert found.shape == (expected[1], expected[0], 3)
    assert geometry.size == expected


def test_a_picture_of_the_final_size_is_unchanged() -> None:
    assert np.array_equal(apply_step(STATE, (40, 13))[0], pixels((40, 13)))


def test_a_very_narrow_picture_is_refused() -> None:
    assert refusal(STATE, (900, 2)) == "bad_shape"
