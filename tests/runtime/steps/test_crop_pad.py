"""CropPad: the centre of a picture, padded."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import apply_step, pixels, refusal

STATE = {"step": "crop_pad", "size": [20, 10], "pad_mode": "zeros"}


@pytest.mark.parametrize(("pad_mode", "mode"), [("zeros", "constant"), ("border", "edge"), ("reflection", "reflect")])
@pytest.mark.parametrize("size", [(20, 10), (13, 7), (40, 5), (7, 31)])
def test_padding_agrees_with_numpy(pad_mode: str, mode: str, size: tuple[int, int]) -> None:
    found, geometry = apply_step({**STATE, "pad_mode": pad_mode}, size)
    w, h = size
    x, y = (w - 20) // 2, (h - 10) // 2
    inner = pixels(size)[max(y, 0) : min(y + 10, h), max(x, 0) : min(x + 20, w)]
    widths = ((max(-y, 0), max(10 - h + y, 0)), (max(-x, 0), max(20 - w + x, 0)), (0, 0))
    assert np.array_equal(found, np.pad(inner, widths, mode))
    assert (geometry.offset, geometry.scale) == ((x, y), (1.0, 1.0))


def test_a_huge_size_is_refused() -> None:
    assert refusal({**STATE, "size": [60_000, 60_000]}, (9, 9)) == "bad_shape"
