"""Figures of numbers are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from fastmar_contract.errors import FastmarError
from fastmar_monitor.feedback.kinds import kind_for
from tests.runtime import tiny

RNG = np.random.default_rng(0)
ONE = kind_for(tiny.spec(decode=tiny.ONE_NUMBER_DECODER))
TWO = kind_for(tiny.spec(decode=tiny.TWO_NUMBERS_DECODER, targets=("x", "y")))


def test_figures() -> None:
    truths, answers = RNG.standard_normal((200, 1)), RNG.standard_normal((200, 1))
    rows = np.array([ONE.answer({"prediction": value}) for [value] in answers.tolist()])
    found = ONE.score(rows, truths)
    errors = (answers - truths)[:, 0]
    assert {name: figure.value for name, figure in found.figures.items()} == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(truths, answers),
            "rmse": metrics.root_mean_squared_error(truths, answers),
            "bias": errors.mean(),
        }
    )
    expected = stats.ttest_1samp(errors, 0).confidence_interval(0.95)
    assert (found.figures["bias"].low, found.figures["bias"].high) == pytest.approx((expected.low, expected.high))
    expected = stats.ttest_1samp(errors**2, 0).confidence_interval(0.95)
    assert found.figures["rmse"].low == pytest.approx(expected.low**0.5)
    assert found.losses == pytest.approx(np.abs(errors))
    assert ONE.confidences(rows) is None


def test_several_targets() -> None:
    truths, answers = RNG.standard_normal((200, 2)), RNG.standard_normal((200, 2))
    rows = np.array([TWO.answer({"prediction": row}) for row in answers.tolist()])
    found = TWO.score(rows, truths)
    assert TWO.columns == ("x", "y")
    assert found.figures["mae"].value == pytest.approx(metrics.mean_absolute_error(truths, answers))
    for at, row in enumerate(found.detail["targets"]):
        assert row["target"] == TWO.columns[at]
        assert row["mae"]["value"] == pytest.approx(
            metrics.mean_absolute_error(truths[:, at], answers[:, at]), abs=1e-6
        )


@pytest.mark.parametrize(
    ("value", "expected"), [("3.5", [3.5]), (2, [2]), (True, [1]), ("", None), ("NA", None), (None, None)]
)
def test_truths(value: Any, expected: list[float] | None) -> None:
    assert ONE.truth([value]) == expected


@pytest.mark.parametrize("value", ["much", "inf", float("inf"), [1, 2]])
def test_invalid_truths(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ONE.truth([value])


def test_a_truth_with_a_missing_number_is_missing() -> None:
    assert TWO.truth(["1", ""]) is None
    assert TWO.truth(["1", "2"]) == [1, 2]
    with pytest.raises(ValueError, match="numbers"):
        TWO.answer({"prediction": [1.0]})


def test_columns() -> None:
    assert TWO.check_columns(["a", "b"]) == ["a", "b"]
    assert TWO.check_columns([]) == ("x", "y")
    with pytest.raises(FastmarError) as caught:
        TWO.check_columns(["a"])
    assert caught.value.code == "truth_column_count"
    with pytest.raises(FastmarError) as caught:
        kind_for(tiny.spec(decode=tiny.RAW_DECODER))
    assert caught.value.code == "feedback_unsupported"
    assert "category, multi_category, regression" in caught.value.fix
