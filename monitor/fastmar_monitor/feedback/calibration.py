"""Calibration: whether decisions with a confidence of 80% are right in 80% of the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_monitor.feedback.intervals import Figure, Numbers, rounded, share

BINS = 10  # of equal width, from 0 to 1
MIN_DECISIONS = 30  # of a bin, so that its share of right decisions replaces the confidence in an estimate


@dataclass(frozen=True, slots=True)
class Bin:
    """The decisions with a confidence from `low` to `high`; see `Calibration`.

    Attributes:
        low, high: bounds; a confidence that is a bound belongs to the lower bin.
        decisions: their number.
        confidence: the mean.
        right: the share of right decisions.
    """

    low: float
    high: float
    decisions: int
    confidence: float
    right: Figure

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "from": self.low,
            "to": self.high,
            "decisions": self.decisions,
            "confidence": rounded(self.confidence),
            "right": self.right.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """The expected accuracy of records without truth. It is no measurement.

    Attributes:
        accuracy: expected share of right decisions.
        calibrated: the share of decisions whose confidence was replaced by the share of right decisions that was
            measured at this confidence.
    """

    accuracy: float
    calibrated: float

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {"accuracy": rounded(self.accuracy), "calibrated": rounded(self.calibrated)}


class Calibration:
    """The reliability of confidences.

    Attributes:
        bins: the bins that have decisions.
        error: expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017): the mean distance of
            confidence and share of right decisions, weighted by the number of decisions. Chance alone makes it larger
            than 0, and more so with few decisions.
    """

    def __init__(self, confidences: Numbers, right: npt.NDArray[np.bool_]) -> None:
        """`confidences` are from 0 to 1; `right` has the same shape."""
        at = _bin(confidences)
        self._sizes = np.bincount(at, minlength=BINS)
        successes = np.bincount(at, right.ravel(), BINS)
        sums = np.bincount(at, confidences.ravel(), BINS)
        self._right = successes / np.maximum(1, self._sizes)
        self.bins = tuple(
            Bin(
                k / BINS,
                (k + 1) / BINS,
                int(self._sizes[k]),
                float(sums[k] / self._sizes[k]),
                share(int(successes[k]), int(self._sizes[k])),
            )
            for k in range(BINS)
            if self._sizes[k]
        )
        total = max(1, self._sizes.sum())
        self.error = sum(each.decisions / total * abs(each.confidence - each.right.value) for each in self.bins)

    def estimate(self, confidences: Numbers) -> Estimate:
        """The expected accuracy of decisions with these confidences.

        If confidences are calibrated, their mean is the expected accuracy (Guillory et al. 2021, difference of
        confidences). In a bin with `MIN_DECISIONS` measured decisions, the share of right ones takes the place of the
        confidence: histogram binning (Zadrozny and Elkan 2001).
        """
        at = _bin(confidences)
        known = self._sizes[at] >= MIN_DECISIONS
        expected = np.where(known, self._right[at], confidences.ravel())
        return Estimate(float(expected.mean()), float(known.mean()))


def _bin(confidences: Numbers) -> npt.NDArray[np.int64]:
    return np.clip(np.ceil(confidences.ravel() * BINS).astype(np.int64) - 1, 0, BINS - 1)
