"""ToTensor: channels first."""

from __future__ import annotations

import numpy as np
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
