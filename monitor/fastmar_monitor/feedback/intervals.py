"""Figures with confidence intervals of 95%, and tests whether a mean grew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from fastmar_monitor import statistics

Numbers = npt.NDArray[np.float64]

LEVEL = 0.95


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
    bounds = stats.binomtest(successes, records).proportion_ci(LEVEL, method="wilson")
    return Figure(successes / records, float(bounds.low), float(bounds.high))


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
    reach = float(stats.t.ppf((1 + LEVEL) / 2, size - 1)) * error
    return Figure(value, value - reach, value + reach)


def p_share_grew(before: Numbers, after: Numbers) -> float:
    """P-value that a share did not grow: the one-sided two-proportion z-test with pooled variance.

    It is half of the p-value of the chi-squared test without a correction, whose statistic is the square of z.

    Args:
        before: 1 for each record that counts, 0 for the others.
        after: the same.
    """
    if after.mean() <= before.mean():
        return 1.0
    counts = np.array([[each.sum(), len(each) - each.sum()] for each in (before, after)], np.int64)
    if not counts.sum(axis=0).all():
        return 1.0
    return statistics.homogeneity(counts) / 2


def p_mean_grew(before: Numbers, after: Numbers) -> float:
    """P-value that a mean did not grow: Welch's t-test (Welch 1947), one-sided."""
    if after.mean() <= before.mean():
        return 1.0
    if not before.std() and not after.std():
        return 0.0
    return float(stats.ttest_ind(after, before, equal_var=False, alternative="greater").pvalue)
