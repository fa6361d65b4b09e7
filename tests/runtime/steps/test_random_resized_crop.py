"""RandomResizedCrop where it is not random."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import cut, pixels

STATE = {"step": "random_resized_crop", "size": [64, 64], "val_xtra": 0.14, "resample": 2}


@pytest.mark.parametrize("size", [(40, 40), (131, 70), (5, 90)])
def test_the_middle_of_a_little_more(size: tuple[int, int]) -> None:
    found, geometry = cut(STATE, size)
    assert found.shape == (64, 64, 3)
    larger = 64 + 16  # 64 * 0.14 / 8 rounded up, times 8
    assert geometry.scale == pytest.approx((size[0] / larger, size[1] / larger))
    assert geometry.offset == pytest.approx((8 * size[0] / larger, 8 * size[1] / larger))


def test_nothing_more() -> None:
    found, _ = cut({**STATE, "val_xtra": 0.0}, (64, 64))
    assert np.array_equal(found, pixels((64, 64)))
