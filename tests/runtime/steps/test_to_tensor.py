"""ToTensor: channels first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.runtime import tiny_pictures as tiny

from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step


def test_channels_come_first() -> None:
    colour, grey = tiny.noise((7, 5)), tiny.noise((7, 5), 1)
    batch = load_step({"step": "to_tensor"})({"image": [colour, None, grey], "frame": [1, 2, 3]}, Report(3))
    first, none, last = batch["image"]
    assert np.array_equal(first, np.moveaxis(np.asarray(colour), 2, 0))
    assert none is None
    assert np.array_equal(last, np.asarray(grey)[None])
    assert first.dtype == last.dtype == np.uint8
    assert batch["frame"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("state", "fits", "refused", "code"),
    [
        ({"size": [7, 5]}, (7, 5), (5, 7), "bad_shape"),
        ({"max_pixels": 35}, (7, 5), (6, 6), "too_many_pixels"),
        ({"max_pixels": 100, "max_side": 20}, (20, 5), (21, 1), "too_many_pixels"),
    ],
)
def test_pictures_that_the_network_does_not_take(state: Any, fits: Any, refused: Any, code: str) -> None:
    report = Report(2)
    step = load_step({"step": "to_tensor", **state})
    images = step({"image": [tiny.noise(fits), tiny.noise(refused)]}, report)["image"]
    assert images[0].shape == (3, *fits[::-1])
    assert images[1] is None
    assert {row: error.code for row, error in report.errors.items()} == {1: code}
    assert f"{refused[0]} x {refused[1]}" in report.errors[1].message
