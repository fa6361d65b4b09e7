"""Bins of numbers in a profile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_runtime.profiles.variables import BINS, FIELD, number_variable, read_variables


def test_bins_of_different_numbers_have_equal_counts() -> None:
    numbers = np.random.default_rng(0).standard_normal(1000).tolist()
    variable = number_variable("x", FIELD, numbers)
    assert variable is not None
    assert variable.count(numbers).tolist() == [0, 0, *[100] * BINS, 0]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.995])
@pytest.mark.parametrize("value", [0.0, -99.0, 99.0])
def test_a_frequent_value_has_its_own_bin(share: float, value: float) -> None:
    """It may be among the others, the smallest or the largest; the others have two bins or more."""
    rng = np.random.default_rng(0)
    frequent = round(10_000 * share)
    numbers = [value] * frequent + rng.normal(0, 1, 10_000 - frequent).tolist()
    variable = number_variable("x", FIELD, numbers)
    assert variable is not None
    counts = dict(zip(variable.labels(), variable.count(numbers).tolist(), strict=True))
    assert counts[f"{value:g}"] == frequent
    assert sum(count > 0 for count in counts.values()) >= 3


@given(st.lists(st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=200))
def test_bins_contain_all_numbers_and_can_be_read(numbers: list[float]) -> None:
    variable = number_variable("x", FIELD, numbers)
    assert variable is not None
    missing, below, *bins, above = variable.count(numbers).tolist()
    assert (missing, below, sum(bins), above) == (0, 0, len(numbers), 0)
    assert read_variables([variable.as_dict()], "profile.json", {}) == (variable,)
