"""Resize with its three methods; tests/export compares it with fastai, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.cropping import apply_step, pixels, refusal

from fastmar_runtime.errors import BundleUnreadable

STATE = {"step": "resize", "size": [20, 10], "method": "crop", "pad_mode": "zeros", "resample": 2}


@pytest.mark.parametrize("method", ["crop", "pad", "squish"])
@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("size", [(40, 40), (31, 7), (5, 90), (20, 10), (3, 2)])
def test_the_result_has_the_size(method: str, pad_mode: str, size: tuple[int, int]) -> None:
    found, geometry = apply_step({**STATE, "method": method, "pad_mode": pad_mode}, size)
    assert found.shape == (10, 20, 3)
    assert (geometry.sent, geometry.size) == (size, (20, 10))


def test_a_picture_of_the_final_size_is_unchanged() -> None:
    found, geometry = apply_step(STATE, (20, 10))
    assert np.array_equal(found, pixels((20, 10)))
    assert (geometry.scale, geometry.offset) == ((1.0, 1.0), (0.0, 0.0))


def test_geometry() -> None:
    assert apply_step(STATE, (80, 80))[1].offset == (0.0, 20.0)
    assert apply_step(STATE, (80, 80))[1].scale == (4.0, 4.0)
    padded = apply_step({**STATE, "method": "pad"}, (80, 80))[1]
    assert (padded.offset, padded.scale) == ((-40.0, 0.0), (8.0, 8.0))
    squished = apply_step({**STATE, "method": "squish"}, (80, 80))[1]
    assert (squished.offset, squished.scale) == ((0.0, 0.0), (4.0, 8.0))


def test_padding() -> None:
    found, _ = apply_step({**STATE, "size": [40, 20], "method": "pad"}, (20, 20))
    assert not found[:, :10].any()
    assert np.array_equal(found[:, 10:30], pixels((20, 20)))


def test_refusals() -> None:
    assert refusal({**STATE, "size": [64, 32]}, (1, 900)) == "bad_shape"
    assert refusal({**STATE, "method": "pad"}, (60_000, 1)) == "bad_shape"
    with pytest.raises(BundleUnreadable):
        apply_step({**STATE, "method": "guess"}, (9, 9))
