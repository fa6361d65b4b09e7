from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from fastmar_runtime.activations import sigmoid, softmax
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.errors import BundleUnreadable
from tests.runtime import tiny

FLOATS = nps.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


def decode(state, *rows):
    return load_decoder(state)(np.array(rows, dtype=np.float32))


class TestActivations:
    @given(FLOATS)
    def test_softmax_is_torchs(self, x):
        torch = pytest.importorskip("torch")
        expected = torch.softmax(torch.from_numpy(x.copy()), -1).numpy()
        assert softmax(x).dtype == np.float32
        np.testing.assert_allclose(softmax(x), expected, rtol=2e-6, atol=1e-12)

    @given(FLOATS)
    def test_sigmoid_is_torchs(self, x):
        torch = pytest.importorskip("torch")
        expected = torch.sigmoid(torch.from_numpy(x.copy())).numpy()
        assert sigmoid(x).dtype == np.float32
        np.testing.assert_allclose(sigmoid(x), expected, rtol=2e-6, atol=1e-12)

    @given(FLOATS)
    def test_probabilities(self, x):
        for p in (softmax(x), sigmoid(x)):
            assert np.all((p >= 0) & (p <= 1))
        np.testing.assert_allclose(softmax(x).sum(-1), 1, rtol=1e-5)


class TestCategory:
    def test_answer(self):
        (answer,) = decode(tiny.CATEGORY_DECODER, [1.0, 3.0])
        assert answer["prediction"] == ">=50k"
        assert answer["index"] == 1
        assert answer["probabilities"] == pytest.approx({"<50k": 0.1192029, ">=50k": 0.8807971})
        assert type(answer["index"]) is int

    def test_the_first_of_equals_as_torch_has_it(self):
        assert decode(tiny.CATEGORY_DECODER, [2.0, 2.0])[0]["prediction"] == "<50k"

    def test_labels_are_strings_as_fastais_category_is(self):
        (answer,) = decode({**tiny.CATEGORY_DECODER, "vocab": [0, True]}, [0.0, 1.0])
        assert answer["prediction"] == "True"
        assert list(answer["probabilities"]) == ["0", "True"]


class TestMultiCategory:
    def test_several_one_none(self):
        answers = decode(tiny.MULTI_DECODER, [1, 1], [-1, 1], [-1, -1])
        assert [a["prediction"] for a in answers] == [["cat", "dog"], ["dog"], []]
        assert answers[0]["probabilities"].keys() == {"cat", "dog"}

    def test_the_threshold_is_strict(self):
        assert decode(tiny.MULTI_DECODER, [0.0, 1e-6])[0]["prediction"] == ["dog"]

    def test_the_threshold_is_a_float32_as_in_torch(self):
        """0.3 as float32 is over 0.3: a probability of exactly that is not over the threshold."""
        state = {**tiny.MULTI_DECODER, "activation": "identity", "threshold": 0.3}
        assert decode(state, [np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1))])[0]["prediction"] == [
            "dog"
        ]


class TestNumbers:
    def test_one(self):
        assert decode(tiny.ONE_NUMBER_DECODER, [1.5], [2.5]) == [{"prediction": 1.5}, {"prediction": 2.5}]

    def test_one_without_an_axis(self):
        assert load_decoder(tiny.ONE_NUMBER_DECODER)(np.array([1.5, 2.5], dtype=np.float32)) == [
            {"prediction": 1.5},
            {"prediction": 2.5},
        ]

    def test_many(self):
        assert decode(tiny.TWO_NUMBERS_DECODER, [1.5, -2.0]) == [{"prediction": [1.5, -2.0]}]

    def test_with_sigmoid(self):
        assert decode({**tiny.ONE_NUMBER_DECODER, "activation": "sigmoid"}, [0.0]) == [{"prediction": 0.5}]

    def test_raw(self):
        assert decode(tiny.RAW_DECODER, [1, 2]) == [{"prediction": [1, 2]}]


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
def test_a_damaged_decoder(state):
    with pytest.raises(BundleUnreadable, match="decoder"):
        load_decoder(state)


@pytest.mark.parametrize(
    "state",
    [tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.TWO_NUMBERS_DECODER, tiny.RAW_DECODER],
    ids=lambda s: s["decoder"],
)
def test_answers_are_plain_json(state):
    answers = decode(state, [0.1, 0.2])
    assert orjson.loads(orjson.dumps(answers)) == answers
