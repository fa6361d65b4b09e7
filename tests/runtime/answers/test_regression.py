"""Answers with numbers."""

from __future__ import annotations

import numpy as np
from tests.runtime import tiny

from fastmar_runtime.answers import load_decoder


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


def test_one_number():
    assert decode(tiny.ONE_NUMBER_DECODER, [1.5], [2.5]) == [{"prediction": 1.5}, {"prediction": 2.5}]


def test_one_number_without_a_second_axis():
    assert load_decoder(tiny.ONE_NUMBER_DECODER)(np.array([1.5, 2.5], dtype=np.float32)) == [
        {"prediction": 1.5},
        {"prediction": 2.5},
    ]


def test_several_numbers():
    assert decode(tiny.TWO_NUMBERS_DECODER, [1.5, -2.0]) == [{"prediction": [1.5, -2.0]}]


def test_with_sigmoid():
    assert decode({**tiny.ONE_NUMBER_DECODER, "activation": "sigmoid"}, [0.0]) == [{"prediction": 0.5}]
