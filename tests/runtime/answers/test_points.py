"""Answers with points: pixels of the network's input and of the original picture."""

from __future__ import annotations

import numpy as np

from fastmar_runtime.answers import load_decoder
from fastmar_runtime.geometry import Geometry

SENT = Geometry((200, 100), (200, 100))


def test_points_in_pixels_of_the_input_and_of_the_original() -> None:
    geometry = SENT.crop((50, 0), (100, 100), (64, 64))
    output = np.array([[-1, -1, 1, 1, 0, 0.5]], np.float32)
    answer = load_decoder({"decoder": "points", "size": 6})(output, [geometry])[0]
    assert answer["points_model"] == [[0, 0], [64, 64], [32, 48]]
    assert answer["prediction"] == [[50, 0], [150, 100], [100, 75]]
