"""Compares a live profile with what an archive without a reference profile knows: fewer changes are found."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import special

from fastmar_monitor.comparison import NOTHING_HIDDEN, Comparison, VariableComparison, hidden_reason, not_compared
from fastmar_monitor.verdicts import ALPHA, DRIFT, MIN_ROWS, NONE, NOT_ENOUGH_DATA, VERDICTS, WATCH, too_few, worst
from fastmar_runtime.profiles.known import moments
from fastmar_runtime.profiles.profile import Profile
from fastmar_runtime.profiles.variables import NUMBER, UNSEEN, Counts, Variable

NOTICE = (
    "The archive has no profile of its training data. Only means of numbers and unknown categories are compared, with "
    "the statistics of the learner; other changes are not detected. Fix: export the learner again with --reference."
)
SHIFT_LIMIT, SHIFT_LARGE = 0.25, 0.5  # of the mean, in standard deviations
UNSEEN_LIMIT, UNSEEN_LARGE = 0.02, 0.05  # share of unknown categories


def compare_known(live: Profile, hidden: Mapping[str, str] = NOTHING_HIDDEN) -> Comparison:
    """Compare a profile, which must have the variables of `known_reference`. For `hidden` see `Comparer.compare`."""
    alpha = ALPHA / max(1, len(live.variables))  # Bonferroni
    fields = [
        _compare(each, counts, alpha)
        if (why := hidden_reason(each, hidden)) is None
        else not_compared(each, np.zeros_like(counts), counts, why)
        for each, counts in zip(live.variables, live.counts, strict=True)
    ]
    fields.sort(key=lambda each: (VERDICTS.index(each.verdict), abs(each.shift or 0.0)), reverse=True)
    return Comparison(worst(each.verdict for each in fields), live.rows, 0, tuple(fields))


def _compare(variable: Variable, live: Counts, alpha: float) -> VariableComparison:
    """The verdict is that of the smallest change in the confidence interval."""
    shift = None
    if variable.kind == NUMBER:
        limits, values = (SHIFT_LIMIT, SHIFT_LARGE), live[1:]
        if values.sum():
            shift, error = _shift(variable, values)
            least = abs(shift) - float(special.ndtri(1 - alpha / 2)) * error
    else:
        limits, values = (UNSEEN_LIMIT, UNSEEN_LARGE), live
        least = _lower_bound(int(live[variable.keys().index(UNSEEN)]), int(live.sum()), alpha)
    verdict = NOT_ENOUGH_DATA
    has_enough = values.sum() >= MIN_ROWS
    if has_enough:
        verdict = (NONE, WATCH, DRIFT)[sum(least >= limit for limit in limits)]
    reason = None if has_enough else too_few(int(values.sum()))
    return VariableComparison(variable, np.zeros_like(live), live, verdict, shift=shift, reason=reason)


def _shift(variable: Variable, counts: Counts) -> tuple[float, float]:
    """The change of the mean in standard deviations of the training data, and its standard error.

    The values of a bin count as its middle, those outside as its bound: outliers do not move the mean.
    """
    mean, deviation = moments(variable)
    edges = np.array(variable.edges)
    middles = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
    scores = (middles - mean) / deviation
    shift = float(np.average(scores, weights=counts))
    return shift, math.sqrt(float(np.average((scores - shift) ** 2, weights=counts)) / int(counts.sum()))


def _lower_bound(count: int, total: int, alpha: float) -> float:
    """Lower limit of a share's exact confidence interval (Clopper and Pearson, 1934)."""
    return float(special.betaincinv(count, total - count + 1, alpha)) if count else 0.0
