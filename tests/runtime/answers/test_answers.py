"""Tests of all kinds of answer."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from tests.runtime import tiny

from fastmar_runtime.answers import load_decoder
from fastmar_runtime.errors import BundleUnreadable


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"decoder": "none"},
        {"decoder": ["category"]},
        {"decoder": "category"},
        {"decoder": "category", "vocab": ["a"], "activation": "no such"},
        {"decoder": "multi_category", "vocab": ["a"], "activation": "sigmoid"},
    ],
)
def test_invalid_decoders_are_refused(state):
    with pytest.raises(BundleUnreadable):
        load_decoder(state)


@pytest.mark.parametrize(
    "state",
    [tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.TWO_NUMBERS_DECODER, tiny.RAW_DECODER],
    ids=lambda s: s["decoder"],
)
def test_answers_are_plain_json(state):
    answers = decode(state, [0.1, 0.2])
    assert orjson.loads(orjson.dumps(answers)) == answers
