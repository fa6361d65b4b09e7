"""RandomResizedCrop in validation."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import apply_step, pixels

STATE = {"step": "random_resized_crop", "size": [64, 64], "val_xtra": 0.14, "resample": 2}


@pytest.mark.parametrize("size", [(40, 40), (131, 70), (5, 90)])
def test_centre_of_an_enlarged_picture(size: tuple[int, int]) -> None:
    found, geometry = apply_step(STATE, size)
    assert found.shape == (64, 64, 3)
    enlarged = 64 + 16  # 64 * 0.14 / 8 rounded up, times 8
    assert geometry.scale == pytest.approx((size[0] / enlarged, size[1] / enlarged))
    assert geometry.offset == pytest.approx((8 * size[0] / enlarged, 8 * size[1] / enlarged))


def test_without_extra_pixels() -> None:
    found, _ = apply_step({**STATE, "val_xtra": 0.0}, (64, 64))
    assert np.array_equal(found, pixels((64, 64)))
