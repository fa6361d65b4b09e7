"""Answers with a single label."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime import tiny

from fastmar_runtime.answers import load_decoder


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


def test_answer():
    (answer,) = decode(tiny.CATEGORY_DECODER, [1.0, 3.0])
    assert answer["prediction"] == ">=50k"
    assert answer["index"] == 1
    assert answer["probabilities"] == pytest.approx({"<50k": 0.1192029, ">=50k": 0.8807971})
    assert type(answer["index"]) is int


def test_the_first_of_equal_probabilities_wins_as_in_torch():
    assert decode(tiny.CATEGORY_DECODER, [2.0, 2.0])[0]["prediction"] == "<50k"


def test_labels_are_strings():
    (answer,) = decode({**tiny.CATEGORY_DECODER, "vocab": [0, True]}, [0.0, 1.0])
    assert answer["prediction"] == "True"
    assert list(answer["probabilities"]) == ["0", "True"]
