"""Answers with several labels."""

from __future__ import annotations

import numpy as np
from tests.runtime import tiny

from fastmar_runtime.answers import load_decoder


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


def test_several_labels_one_label_no_label():
    answers = decode(tiny.MULTI_DECODER, [1, 1], [-1, 1], [-1, -1])
    assert [a["prediction"] for a in answers] == [["cat", "dog"], ["dog"], []]
    assert answers[0]["probabilities"].keys() == {"cat", "dog"}


def test_a_probability_equal_to_the_threshold_is_not_predicted():
    assert decode(tiny.MULTI_DECODER, [0.0, 1e-6])[0]["prediction"] == ["dog"]


def test_the_threshold_is_a_float32_as_in_torch():
    """0.3 as float32 is over 0.3: a probability of exactly that is not over the threshold."""
    state = {**tiny.MULTI_DECODER, "activation": "identity", "threshold": 0.3}
    assert decode(state, [np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1))])[0]["prediction"] == ["dog"]
