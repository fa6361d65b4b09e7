"""Statistics of two histograms with the same slots: how far they are apart, and whether chance explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

MIN_EXPECTED = 5  # count that a slot must have in both histograms, if their shares are equal, to be compared alone
FLOOR = 0.5  # count of the reference that an empty slot gets, so that logarithms are finite


def psi(first: Shares, second: Shares, floor: float) -> float:
    """Population stability index: the sum of ``(p - q) ln(p / q)``; also Jeffreys' divergence, in nats.

    0.1 and 0.25 are the usual limits of a moderate and of a large change. Normal distributions whose means differ by
    half a standard deviation have 0.25.

    Args:
        first: share of each slot.
        second: the same.
        floor: smaller shares are raised to it.
    """
    p, q = np.maximum(first, floor), np.maximum(second, floor)
    return float(np.sum((p - q) * np.log(p / q)))


def divergence(first: Shares, second: Shares) -> float:
    """Jensen-Shannon divergence in bits, from 0 to 1; its root is a distance."""
    middle = (first + second) / 2
    total = 0.0
    for shares in (first, second):
        has = shares > 0
        total += float(np.sum(shares[has] * np.log2(shares[has] / middle[has])))
    return max(0.0, total / 2)


def largest_gap(first: Counts, second: Counts) -> float:
    """Kolmogorov-Smirnov: the largest difference of the cumulated shares, at the bounds of the slots."""
    return float(np.abs(np.cumsum(_shares(first)) - np.cumsum(_shares(second))).max(initial=0))


@dataclass(frozen=True, slots=True)
class Table:
    """Two histograms whose rare slots are merged, so that the statistics do not depend on single records.

    Attributes:
        reference: the counts of the slots.
        live: the same.
        fine: which slots have at least `MIN_EXPECTED` expected records in both histograms.
    """

    reference: Counts
    live: Counts
    fine: npt.NDArray[np.bool_]

    @property
    def chance(self) -> float:
        """The expected PSI of two samples of these sizes from the same distribution: (slots - 1) (1/n + 1/m)."""
        return (len(self.reference) - 1) * (1 / int(self.reference.sum()) + 1 / int(self.live.sum()))

    def psi(self) -> float:
        """See `psi`."""
        return psi(_shares(self.reference), _shares(self.live), FLOOR / float(self.reference.sum()))

    def divergence(self) -> float:
        """See `divergence`."""
        return divergence(_shares(self.reference), _shares(self.live))

    def p_value(self) -> float:
        """The probability of such a difference, or a larger one, if both are samples of the same distribution.

        Chi-squared test of the slots with enough expected records; an exact binomial test of each other slot. The
        smallest of the p-values is corrected for their number (Bonferroni).
        """
        n, m = int(self.reference.sum()), int(self.live.sum())
        found = [
            _binomial(int(live), int(live + reference), m / (n + m))
            for reference, live in zip(self.reference[~self.fine], self.live[~self.fine], strict=True)
        ]
        if self.fine.sum() > 1:
            found.append(homogeneity(np.stack([self.reference[self.fine], self.live[self.fine]])))
        return min(1.0, min(found) * len(found)) if found else 1.0


def table(reference: Counts, live: Counts) -> Table:
    """Merge rare slots: those that the reference has, and those that it does not have.

    Both histograms must have a record.
    """
    both = reference + live
    smaller = min(reference.sum(), live.sum())
    fine = both * (smaller / both.sum()) >= MIN_EXPECTED
    merged = [(reference[fine], live[fine])]
    for rare in (~fine & (reference > 0), ~fine & (reference == 0) & (live > 0)):
        if rare.any():
            merged.append((reference[rare].sum(keepdims=True), live[rare].sum(keepdims=True)))
    first, second = (np.concatenate(parts) for parts in zip(*merged, strict=True))
    is_fine = (first + second) * (smaller / both.sum()) >= MIN_EXPECTED
    return Table(first, second, is_fine)


def differ(samples: npt.NDArray[np.int64], alpha: float) -> bool:
    """Whether several samples, [samples, slots], differ more than by chance: chi-squared test at the level `alpha`."""
    total = samples.sum(axis=0)
    share = samples.sum(axis=1).min() / max(1, total.sum())
    fine = total * share >= MIN_EXPECTED
    counts = samples[:, fine]
    if total[~fine].sum() * share >= MIN_EXPECTED:
        counts = np.column_stack([counts, samples[:, ~fine].sum(axis=1)])
    return counts.shape[1] > 1 and homogeneity(counts) < alpha


def homogeneity(counts: Counts) -> float:
    """P-value of Pearson's chi-squared test that samples, [samples, slots], have the same distribution.

    The same as `scipy.stats.chi2_contingency` without a correction, which takes a hundred times as long.
    """
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0) / counts.sum())
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return float(special.chdtrc(freedom, np.sum((counts - expected) ** 2 / expected)))


def _binomial(successes: int, trials: int, probability: float) -> float:
    """P-value of an exact binomial test: twice the smaller tail."""
    below = special.bdtr(successes, trials, probability)
    above = special.bdtrc(successes - 1, trials, probability) if successes else 1.0
    return min(1.0, 2 * float(min(below, above)))


def adjust(p_values: list[float]) -> list[float]:
    """P-values after Benjamini and Hochberg (1995): of those below alpha, at most a share of alpha is due to chance."""
    values = np.array(p_values, np.float64)
    order = np.argsort(values)[::-1]
    number = len(values)
    adjusted = np.empty(number)
    adjusted[order] = np.minimum.accumulate(values[order] * number / np.arange(number, 0, -1))
    limited: list[float] = np.minimum(1.0, adjusted).tolist()
    return limited


def _shares(counts: Any) -> Shares:
    return np.asarray(counts / max(1, counts.sum()), np.float64)
