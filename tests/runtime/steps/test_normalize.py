from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step


def normalize(column, mean, std):
    step = load_step({"step": "normalize", "means": {"age": mean}, "stds": {"age": std}})
    return step({"age": column, "hours": [1] * len(column)}, Report(len(column)))


def test_other_columns_and_nulls_are_kept():
    assert normalize([50, None], 40.0, 10.0) == {"age": [1.0, None], "hours": [1, 1]}


def test_the_input_batch_is_not_changed():
    column = [50]
    normalize(column, 1.0, 2.0)
    assert column == [50]


@given(
    st.lists(st.floats(-1e30, 1e30) | st.integers(-(2**53), 2**53), min_size=1, max_size=5),
    st.floats(-1e9, 1e9),
    st.floats(1e-7, 1e9),
)
def test_is_float64_arithmetic_bit_for_bit(column, mean, std):
    expected = (np.array(column, dtype=np.float64) - np.float64(mean)) / np.float64(std)
    assert normalize(column, mean, std)["age"] == expected.tolist()


def test_float32_would_differ():
    value, mean, std = 100000.1, 33.3, 7.7
    with pytest.raises(AssertionError):
        assert normalize([value], mean, std)["age"] == [float((np.float32(value) - np.float32(mean)) / np.float32(std))]
