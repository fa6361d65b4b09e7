"""Activations agree with torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from fastmar_runtime.activations import sigmoid, softmax

FLOATS = nps.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@given(FLOATS)
def test_softmax_agrees_with_torch(x):
    torch = pytest.importorskip("torch")
    expected = torch.softmax(torch.from_numpy(x.copy()), -1).numpy()
    assert softmax(x).dtype == np.float32
    np.testing.assert_allclose(softmax(x), expected, rtol=2e-6, atol=1e-12)


@given(FLOATS)
def test_sigmoid_agrees_with_torch(x):
    torch = pytest.importorskip("torch")
    expected = torch.sigmoid(torch.from_numpy(x.copy())).numpy()
    assert sigmoid(x).dtype == np.float32
    np.testing.assert_allclose(sigmoid(x), expected, rtol=2e-6, atol=1e-12)


@given(FLOATS)
def test_results_are_probabilities(x):
    for p in (softmax(x), sigmoid(x)):
        assert np.all((p >= 0) & (p <= 1))
    np.testing.assert_allclose(softmax(x).sum(-1), 1, rtol=1e-5)
