"""Figures with confidence intervals of 95%, and tests whether a mean grew, or whether two means of the same records
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from fastmar_monitor import statistics

Numbers = npt.NDArray[np.float64]

LEVEL = 0.95
GROUPS = 100  # of records, for `jackknife`


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure and the bounds of its interval; without bounds if there is no formula, or too few records."""

    value: float
    low: float | None = None
    high: float | None = None

    def map(self, function: Callable[[float], float]) -> Figure:
        """The figure after a function that grows with its argument."""
        bounds = (None if bound is None else function(bound) for bound in (self.low, self.high))
        return Figure(function(self.value), *bounds)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {"value": rounded(self.value), "low": rounded(self.low), "high": rounded(self.high)}


def rounded(value: float | None) -> float | None:
    """A number with six decimals."""
    return None if value is None else round(float(value), 6)


def share(successes: int, records: int) -> Figure:
    """A share of records, with Wilson's score interval (Wilson 1927); `records` is at least 1."""
    # SciPy's `binomtest` has this interval, too, but takes milliseconds, because it computes an exact p-value first.
    value, z = successes / records, float(stats.norm.ppf((1 + LEVEL) / 2))
    scale = 1 + z**2 / records
    centre = (value + z**2 / (2 * records)) / scale
    reach = z / scale * sqrt(value * (1 - value) / records + z**2 / (4 * records**2))
    return Figure(value, max(0.0, centre - reach), min(1.0, centre + reach))


def mean(values: Numbers) -> Figure:
    """A mean of at least one value, with Student's t interval."""
    return ratio(values, np.ones(len(values)))


def ratio(numerators: Numbers, denominators: Numbers) -> Figure:
    """The ratio of two means over the same records, with Student's t interval.

    Its variance is that of the linearized ratio (Cochran 1977, Sampling Techniques, 6.3): the variance of
    ``numerator - ratio * denominator``, divided by the number of records and by the square of the mean denominator. If
    the denominators are 0, so is the ratio.
    """
    size, bottom = len(numerators), float(denominators.mean())
    if bottom == 0:
        return Figure(0.0)
    value = float(numerators.mean()) / bottom
    if size < 2:
        return Figure(value)
    error = float(np.std(numerators - value * denominators, ddof=1)) / sqrt(size) / bottom
    return _t_interval(value, error, size - 1)


def jackknife(statistics: Callable[[npt.NDArray[np.intp]], Sequence[float]], records: int) -> list[Figure]:
    """Statistics with intervals by the delete-a-group jackknife (Efron and Tibshirani 1993, chapter 11).

    The statistics are computed without each of `GROUPS` random groups of records, or without each record if there are
    fewer. For a mean of up to `GROUPS` records, the interval is Student's t interval. The groups are always the same.

    Args:
        statistics: the values of the statistics for the records with the given numbers, from 0.
        records: their number, at least 1.
    """
    values = statistics(np.arange(records))
    groups = min(records, GROUPS)
    if groups < 2:
        return [Figure(value) for value in values]
    group_of = np.random.default_rng(0).permutation(records) % groups
    without = np.array([statistics(np.flatnonzero(group_of != group)) for group in range(groups)])
    errors = np.sqrt((groups - 1) / groups * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    return [_t_interval(value, float(error), groups - 1) for value, error in zip(values, errors, strict=True)]


def _t_interval(value: float, error: float, freedom: int) -> Figure:
    """Student's t interval; `error` is the standard error."""
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Figure(value, value - reach, value + reach)


def p_share_grew(before: Numbers, after: Numbers) -> float:
    """P-value that a share did not grow: the one-sided two-proportion z-test with pooled variance.

    It is half of the p-value of the chi-squared test without a correction, whose statistic is the square of z.

    Args:
        before: 1 for each record that counts, 0 for the others.
        after: the same.
    """
    counts = np.array([[each.sum(), len(each) - each.sum()] for each in (before, after)], np.int64)
    if not counts.sum(axis=0).all():
        return 1.0
    half = statistics.homogeneity(counts) / 2
    return half if after.mean() > before.mean() else 1 - half


def p_mean_grew(before: Numbers, after: Numbers) -> float:
    """P-value that a mean did not grow: Welch's t-test (Welch 1947), one-sided."""
    if not before.std() and not after.std():
        return 0.0 if after.mean() > before.mean() else 1.0
    return float(stats.ttest_ind(after, before, equal_var=False, alternative="greater").pvalue)


def p_shares_differ(before: Numbers, after: Numbers) -> float:
    """P-value that two shares of the same records are equal: McNemar's exact test (McNemar 1947), two-sided.

    Args:
        before: 1 for each record that counts, 0 for the others.
        after: the same, in the same order.
    """
    fewer, more = int(((before == 1) & (after == 0)).sum()), int(((before == 0) & (after == 1)).sum())
    return float(stats.binomtest(fewer, fewer + more).pvalue) if fewer + more else 1.0


def p_means_differ(before: Numbers, after: Numbers) -> float:
    """P-value that two means of the same records are equal: the paired t-test, two-sided."""
    differences = after - before
    if not differences.std():
        return 1.0 if not differences.any() or len(differences) < 2 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
