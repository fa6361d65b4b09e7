"""Points: their numbers, and where they lie in the picture that was sent."""

from __future__ import annotations

import numpy as np

from fastmar_runtime.answers import load_decoder
from fastmar_runtime.geometry import Geometry

SENT = Geometry((200, 100), (200, 100))


def test_points_in_the_models_pixels_and_in_the_pictures() -> None:
    geometry = SENT.crop((50, 0), (100, 100), (64, 64))
    output = np.array([[-1, -1, 1, 1, 0, 0.5]], np.float32)
    answer = load_decoder({"decoder": "points", "size": 6})(output, [geometry])[0]
    assert answer["points_model"] == [[0, 0], [64, 64], [32, 48]]
    assert answer["prediction"] == [[50, 0], [150, 100], [100, 75]]
