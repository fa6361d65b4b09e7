"""Statistics of histograms: their properties, and scipy as the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from fastmar_monitor import statistics
from fastmar_runtime.profiles.profile import Profile
from tests.monitor import samples

FLOOR = 1e-4


@st.composite
def pairs(draw: Any, low: int = 0) -> tuple[Any, Any]:
    """Two histograms with the same slots and at least one record each."""
    size = draw(st.integers(1, 30))
    counts = st.lists(st.integers(low, 10_000), min_size=size, max_size=size).filter(any)
    return np.array(draw(counts)), np.array(draw(counts))


def shares(counts: Any) -> Any:
    return counts / counts.sum()


@given(pairs())
def test_psi_is_symmetric_and_not_negative(pair: tuple[Any, Any]) -> None:
    first, second = map(shares, pair)
    there, back = statistics.psi(first, second, FLOOR), statistics.psi(second, first, FLOOR)
    assert there == pytest.approx(back)
    assert 0 <= there < 20


@given(pairs())
def test_equal_shares_have_no_difference(pair: tuple[Any, Any]) -> None:
    first, _ = pair
    assert statistics.psi(shares(first), shares(first), FLOOR) == 0
    assert statistics.divergence(shares(first), shares(first)) == 0
    assert statistics.largest_gap(first, 3 * first) == pytest.approx(0)
    assert statistics.table(first, first).p_value() == pytest.approx(1)


@given(pairs())
def test_the_divergence_is_that_of_scipy(pair: tuple[Any, Any]) -> None:
    first, second = map(shares, pair)
    assert statistics.divergence(first, second) == pytest.approx(
        distance.jensenshannon(first, second, 2) ** 2, abs=1e-9
    )


@given(pairs())
def test_psi_is_the_sum_of_both_relative_entropies(pair: tuple[Any, Any]) -> None:
    first, second = (shares(counts + 1) for counts in pair)  # no floor
    assert statistics.psi(first, second, 0) == pytest.approx(
        stats.entropy(first, second) + stats.entropy(second, first)
    )


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # in scipy, for two equal records
@given(pairs())
def test_the_largest_gap_is_that_of_scipy(pair: tuple[Any, Any]) -> None:
    first, second = (np.minimum(counts, 40) for counts in pair)
    values = [np.repeat(np.arange(len(counts)), counts) for counts in (first, second)]
    assert statistics.largest_gap(first, second) == pytest.approx(stats.ks_2samp(*values, method="asymp").statistic)


@given(pairs(low=200))
def test_the_p_value_of_frequent_slots_is_that_of_scipy(pair: tuple[Any, Any]) -> None:
    table = statistics.table(*pair)
    expected = stats.chi2_contingency(np.stack(pair), correction=False).pvalue
    assert table.p_value() == pytest.approx(expected if len(pair[0]) > 1 else 1)


def test_the_p_value_is_corrected_for_the_number_of_tests() -> None:
    table = statistics.table(np.array([1000, 1000, 10, 0]), np.array([100, 104, 0, 2]))
    frequent = stats.chi2_contingency([[1000, 1000], [100, 104]], correction=False).pvalue
    rare = 2 * stats.binom.cdf(0, 10, 206 / 2216)
    new = 2 * stats.binom.sf(1, 2, 206 / 2216)
    assert table.p_value() == pytest.approx(3 * min(frequent, rare, new))


def test_homogeneity_of_several_samples_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        samples = rng.integers(5, 200, (6, 8))
        expected = stats.chi2_contingency(samples, correction=False).pvalue
        assert statistics.homogeneity(samples) == pytest.approx(expected)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_binomial_test_is_that_of_scipy(successes: int, failures: int, probability: float) -> None:
    found = statistics._binomial(successes, successes + failures, probability)
    tails = [
        stats.binomtest(successes, successes + failures, probability, alternative).pvalue
        for alternative in ("less", "greater")
        if successes + failures
    ]
    assert found == pytest.approx(min(1, 2 * min(tails, default=1)), abs=1e-9)


@given(pairs())
def test_merging_rare_slots_keeps_the_records(pair: tuple[Any, Any]) -> None:
    table = statistics.table(*pair)
    assert (table.reference.sum(), table.live.sum()) == (pair[0].sum(), pair[1].sum())
    assert len(table.reference) <= len(pair[0])
    assert 0 <= table.p_value() <= 1


def test_the_p_value_of_equal_distributions_is_seldom_small() -> None:
    """With many rare slots, where the approximation of chi-squared is poor."""
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, 200)
    p /= p.sum()
    found = [
        statistics.table(rng.multinomial(20_000, p), rng.multinomial(size, p)).p_value()
        for size in (200, 500, 5000)
        for _ in range(300)
    ]
    assert np.mean(np.array(found) < 0.01) < 0.02


def test_psi_beyond_chance_is_about_zero_without_a_change() -> None:
    rng = np.random.default_rng(0)
    tables = [statistics.table(rng.multinomial(2000, [0.1] * 10), rng.multinomial(500, [0.1] * 10)) for _ in range(300)]
    assert np.mean([table.psi() - table.chance for table in tables]) == pytest.approx(0, abs=0.002)


def test_a_slot_that_the_reference_does_not_have_is_not_merged_with_others() -> None:
    table = statistics.table(np.array([10_000, 20, 0, 0]), np.array([180, 0, 12, 8]))
    assert list(table.live[-1:]) == [20]
    assert table.p_value() < 1e-20


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_adjusted_p_values_are_those_of_scipy(p_values: list[float]) -> None:
    assert statistics.adjust(p_values) == pytest.approx(stats.false_discovery_control(p_values))


@given(pairs(), pairs())
def test_adding_profiles_commutes(first: tuple[Any, Any], second: tuple[Any, Any]) -> None:
    variables = (samples.number(values=[1.0, 2.0]), samples.category(size=2))
    found = [
        Profile(variables, int(pair[0][0]), tuple(np.resize(pair[at], variables[at].size) for at in range(2)))
        for pair in (first, second)
    ]
    there, back = found[0] + found[1], found[1] + found[0]
    assert there.as_dict() == back.as_dict()
    assert there.rows == found[0].rows + found[1].rows
