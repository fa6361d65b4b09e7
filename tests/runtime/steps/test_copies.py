"""Copies of a picture for test-time augmentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.runtime import tiny_pictures as tiny
from tests.runtime.cropping import apply_step, pixels

from fastmar_runtime.checks import check_spec
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.modalities.vision.preprocessing import PIXELS, PicturePreprocessor
from fastmar_runtime.spec import Tensor

CROP: dict[str, Any] = {"step": "random_crop", "size": [20, 10]}
CORNER = {**CROP, "draws": [0.0, 0.0]}
STATE: dict[str, Any] = {"step": "copies", "copies": [[CROP, tiny.TO_TENSOR], [CORNER, tiny.TO_TENSOR]]}
LAYER = {"layer": "copies", "copies": 1, "beta": 0.25, "use_max": False}


def test_copies_are_stacked_and_the_plain_one_is_first() -> None:
    found, geometry = apply_step(STATE, (40, 30))
    assert found.shape == (6, 10, 20)
    assert geometry.offset == (10, 10)
    source = pixels((40, 30)).transpose(2, 0, 1)
    assert np.array_equal(found[:3], source[:, 10:20, 10:30])
    assert np.array_equal(found[3:], source[:, :10, :20])


def spec(step: dict[str, Any], layer: dict[str, Any] = LAYER) -> Any:
    shape = ("batch", 6, 10, 20)
    return tiny.spec(steps=(tiny.OPENING, step), layers=(layer,), inputs=(Tensor("image", "uint8", shape),))


def test_groups_are_smaller_because_the_graph_multiplies_them() -> None:
    check_spec(spec(STATE))
    limits = {name: PicturePreprocessor(each)._pixels for name, each in SPECS.items()}
    assert limits == {"plain": PIXELS, "copies": PIXELS // 2}


SPECS = {"plain": replace(spec(STATE), layers=()), "copies": spec(STATE)}


@pytest.mark.parametrize(
    "step",
    [
        {**STATE, "copies": []},
        {**STATE, "copies": [[]]},
        {**STATE, "copies": [[CROP]]},
        {**STATE, "copies": [[STATE]]},
        {**STATE, "copies": [[tiny.TO_TENSOR, tiny.TO_TENSOR]]},
        {**STATE, "copies": [[{"step": "reverse_ids"}, tiny.TO_TENSOR]]},
        {**STATE, "copies": 3},
        {**STATE, "copies": [[{**CROP, "draws": [0.5, 1.0]}, tiny.TO_TENSOR]]},
        {**STATE, "copies": [[{**tiny.RESIZE, "draws": [0.5, -0.1]}, tiny.TO_TENSOR]]},
    ],
)
def test_invalid_copies_are_refused(step: dict[str, Any]) -> None:
    with pytest.raises(BundleUnreadable):
        check_spec(spec(step))


@pytest.mark.parametrize("count", [0, -1, 10**9, "4"])
def test_an_invalid_number_of_copies_is_refused(count: Any) -> None:
    with pytest.raises(BundleUnreadable):
        check_spec(spec(STATE, {**LAYER, "copies": count}))
