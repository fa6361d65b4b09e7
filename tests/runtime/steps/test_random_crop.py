"""RandomCrop in validation."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import apply_step, pixels

STATE = {"step": "random_crop", "size": [20, 10]}


@pytest.mark.parametrize(("size", "corner"), [((40, 30), (10, 10)), ((21, 11), (0, 0)), ((20, 10), (0, 0))])
def test_centre_crop(size: tuple[int, int], corner: tuple[int, int]) -> None:
    found, geometry = apply_step(STATE, size)
    x, y = corner
    assert np.array_equal(found, pixels(size)[y : y + 10, x : x + 20])
    assert geometry.offset == corner


def test_black_padding_around_a_smaller_picture() -> None:
    found, geometry = apply_step(STATE, (11, 10))
    assert geometry.offset == (-5, 0)
    assert np.array_equal(found[:, 5:16], pixels((11, 10)))
    assert not found[:, :5].any()
    assert not found[:, 16:].any()
