"""Answers with the unchanged outputs of the network."""

from __future__ import annotations

import numpy as np
from tests.runtime import tiny

from fastmar_runtime.answers import load_decoder


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


def test_raw():
    assert decode(tiny.RAW_DECODER, [1, 2]) == [{"prediction": [1, 2]}]
