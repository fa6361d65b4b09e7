"""Reliability, calibration error, and the estimate without truth."""

from __future__ import annotations

import numpy as np
import pytest

from fastmar_monitor.feedback.calibration import BINS, MIN_DECISIONS, Calibration

RNG = np.random.default_rng(0)


def test_the_error_is_that_of_a_loop() -> None:
    confidences = np.append(RNG.random(500), [0.0, 0.1, 1.0])
    right = RNG.random(503) < 0.6
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        of_bin = (confidences > low) & (confidences <= low + 1 / BINS) | ((low == 0) & (confidences == 0))
        if of_bin.any():
            expected += of_bin.mean() * abs(confidences[of_bin].mean() - right[of_bin].mean())
    found = Calibration(confidences[:, None], right[:, None])
    assert found.error == pytest.approx(expected)
    assert sum(each.decisions for each in found.bins) == 503
    assert [each.low for each in found.bins] == pytest.approx(np.arange(BINS) / BINS)


def test_calibrated_confidences_have_a_small_error() -> None:
    confidences = RNG.random(100_000)
    found = Calibration(confidences, RNG.random(100_000) < confidences)
    assert found.error < 0.01
    assert all(each.right.low < each.confidence < each.right.high for each in found.bins[1:-1])  # type: ignore[operator]


def test_the_estimate_of_overconfident_answers() -> None:
    """The model is right in 60% of the cases where it says 90%."""
    confidences = np.full(1000, 0.9)
    calibration = Calibration(confidences, np.arange(1000) % 10 < 6)
    found = calibration.estimate(np.array([0.9, 0.85, 0.3]))
    assert found.accuracy == pytest.approx((0.6 + 0.6 + 0.3) / 3)
    assert found.calibrated == pytest.approx(2 / 3)
    few = Calibration(confidences[: MIN_DECISIONS - 1], np.zeros(MIN_DECISIONS - 1, np.bool_))
    assert few.estimate(confidences).accuracy == pytest.approx(0.9)
    assert few.estimate(confidences).calibrated == 0
