"""Figures of several labels are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from fastmar_monitor.feedback.kinds import AnswerKind, kind_for
from tests.runtime import tiny

VOCAB = ["cat", "dog", "never", "a;b"]
RNG = np.random.default_rng(0)
ROWS = 300


def kind(**state: Any) -> AnswerKind:
    return kind_for(tiny.spec(decode=tiny.MULTI_DECODER | {"vocab": VOCAB} | state))


@pytest.fixture
def data() -> tuple[Any, Any, Any]:
    """Probabilities, predictions and truths, [rows, labels]; one label is neither predicted nor present."""
    probabilities = RNG.random((ROWS, 4)) * [1, 1, 0.4, 1]
    truths = (RNG.random((ROWS, 4)) < probabilities) * np.array([1, 1, 0, 1])
    return probabilities, (probabilities > 0.5).astype(int), truths


def answer(probabilities: Any) -> dict[str, Any]:
    pairs = dict(zip(VOCAB, probabilities.tolist(), strict=True))
    return {"prediction": [label for label, value in pairs.items() if value > 0.5], "probabilities": pairs}


def test_figures(data: tuple[Any, Any, Any]) -> None:
    probabilities, predicted, truths = data
    found = kind()
    rows = np.array([found.answer(answer(row)) for row in probabilities])
    named = [[VOCAB[at] for at in np.flatnonzero(row)] for row in truths]
    scores = found.score(rows, np.array([found.truth([labels]) for labels in named]))
    figures = {name: figure.value for name, figure in scores.figures.items() if name != "calibration_error"}
    assert figures == pytest.approx(
        {
            "accuracy": 1 - metrics.hamming_loss(truths, predicted),
            "exact_match": metrics.accuracy_score(truths, predicted),
            "micro_f1": metrics.f1_score(truths, predicted, average="micro"),
            "macro_f1": metrics.f1_score(truths, predicted, average="macro", zero_division=0),
            "log_loss": metrics.log_loss(truths.ravel(), probabilities.ravel()),
            "brier": metrics.brier_score_loss(truths.ravel(), probabilities.ravel()),
        }
    )
    assert scores.losses.mean() == pytest.approx(1 - figures["accuracy"])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truths, predicted, zero_division=0)
    assert {
        row["label"]: (row["precision"], row["recall"], row["f1"], row["records"]) for row in scores.detail["labels"]
    } == {VOCAB[at]: pytest.approx((precision[at], recall[at], f1[at], support[at]), abs=1e-6) for at in (0, 1, 3)}
    confidences = found.confidences(rows)
    assert confidences == pytest.approx(np.where(predicted == 1, probabilities, 1 - probabilities))


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (["dog", "cat"], [1, 1, 0, 0]),
        ("dog;cat", [1, 1, 0, 0]),
        ("dog; cat", [1, 1, 0, 0]),
        ("a;b", [0, 0, 0, 1]),
        ("dog", [0, 1, 0, 0]),
        ([], [0, 0, 0, 0]),
        (";", [0, 0, 0, 0]),
        ("", None),
        ("NaN", None),
        (None, None),
    ],
)
def test_truths(value: Any, row: list[int] | None) -> None:
    assert kind().truth([value]) == row


def test_unknown_labels_are_left_out() -> None:
    found = kind()
    assert found.truth(["dog;cow"]) == [0, 1, 0, 0]
    assert found.unknown == {"cow": 1}


def test_only_the_largest_probabilities() -> None:
    found = kind(top=1)
    rows = np.array([found.answer({"prediction": ["dog"], "probabilities": {"dog": 0.9}})])
    assert found.confidences(rows) is None
    assert "log_loss" not in found.score(rows, np.array([[0.0, 1, 0, 0]])).figures
