"""Intervals and tests agree with other implementations, and intervals contain the true value as often as they claim."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from fastmar_monitor.feedback import intervals

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("successes", "records"), [(0, 5), (3, 10), (10, 10), (800, 1000)])
def test_the_share_has_wilsons_interval(successes: int, records: int) -> None:
    found = intervals.share(successes, records)
    expected = stats.binomtest(successes, records).proportion_ci(0.95, method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((successes / records, *expected), abs=1e-9)


def test_the_mean_has_students_interval() -> None:
    values = RNG.standard_normal(30)
    found = intervals.mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), expected.low, expected.high))
    assert intervals.mean(np.array([3.0])) == intervals.Figure(3.0)


def test_the_ratio_agrees_with_the_bootstrap() -> None:
    """Within 10% of the width of the interval, which is about the noise of 2,000 resamples."""
    bottoms = RNG.poisson(3, 500) + 1.0
    tops = bottoms + RNG.poisson(1, 500)
    found = intervals.ratio(tops, bottoms)
    assert found.low is not None
    assert found.high is not None

    def of(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return x.mean(axis) / y.mean(axis)

    expected = stats.bootstrap(
        (tops, bottoms), of, paired=True, vectorized=True, n_resamples=2000, rng=np.random.default_rng(0)
    ).confidence_interval
    allowed = 0.1 * (expected.high - expected.low)
    assert found.value == pytest.approx(tops.sum() / bottoms.sum())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=allowed)
    assert intervals.ratio(np.zeros(3), np.zeros(3)).value == 0


def test_two_proportions() -> None:
    """The z-test, and its square, the chi-squared test."""
    before, after = (RNG.random(400) < 0.2).astype(float), (RNG.random(300) < 0.3).astype(float)
    pooled = np.concatenate([before, after]).mean()
    z = (after.mean() - before.mean()) / sqrt(pooled * (1 - pooled) * (1 / 400 + 1 / 300))
    assert intervals.p_share_grew(before, after) == pytest.approx(stats.norm.sf(z))
    assert intervals.p_share_grew(after, before) == pytest.approx(stats.norm.cdf(z))
    assert intervals.p_share_grew(np.zeros(200), np.ones(200)) < 1e-9
    assert intervals.p_share_grew(np.ones(200), np.ones(200)) == 1


def test_two_means() -> None:
    before, after = RNG.exponential(1, 200), RNG.exponential(1.3, 100)
    expected = stats.ttest_ind(after, before, equal_var=False, alternative="greater").pvalue
    assert intervals.p_mean_grew(before, after) == pytest.approx(expected)
    assert intervals.p_mean_grew(after, before) == pytest.approx(1 - expected)
    assert intervals.p_mean_grew(np.ones(9), np.ones(9)) == 1
    assert intervals.p_mean_grew(np.ones(9), np.full(9, 2.0)) == 0


def test_false_alarms_of_the_tests_are_as_rare_as_they_claim() -> None:
    """2,000 pairs of samples without a change: the share of p-values below 5% is at most 7%."""
    rng = np.random.default_rng(1)
    shares = rng.random((2000, 2, 120)) < 0.1
    means = rng.exponential(1, (2000, 2, 120))
    for test, samples in ((intervals.p_share_grew, shares.astype(float)), (intervals.p_mean_grew, means)):
        assert np.mean([test(*pair) < 0.05 for pair in samples]) < 0.07
