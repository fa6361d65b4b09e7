"""Figures of single labels are those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from fastmar_monitor.feedback.kinds import kind_for
from fastmar_monitor.feedback.kinds.category import Kind
from tests.monitor.feedback import logs
from tests.runtime import tiny

VOCAB = ["a", "b", "c", "never"]
RNG = np.random.default_rng(0)
ROWS = 400


def kind(vocab: list[Any] = VOCAB, **state: Any) -> Kind:
    found = kind_for(tiny.spec(decode={"decoder": "category", "vocab": vocab, "activation": "softmax"} | state))
    assert isinstance(found, Kind)
    return found


@pytest.fixture
def data() -> tuple[Any, Any]:
    probabilities = RNG.dirichlet([1, 2, 3, 0.01], ROWS)
    probabilities[0] = [0, 1, 0, 0]
    return probabilities, np.append(0, RNG.integers(0, 3, ROWS - 1))  # the first label has the probability 0


def scored(kind: Kind, probabilities: Any, truths: Any) -> Any:
    labels = kind.labels.texts
    answers = [
        kind.answer({"prediction": labels[row.argmax()], "probabilities": dict(zip(labels, row, strict=True))})
        for row in probabilities
    ]
    return kind.score(np.array(answers), np.array([kind.truth([VOCAB[at]]) for at in truths]))


def test_figures(data: tuple[Any, Any]) -> None:
    probabilities, truths = data
    found = scored(kind(), probabilities, truths)
    predicted = probabilities.argmax(axis=1)
    figures = {name: figure.value for name, figure in found.figures.items() if name != "calibration_error"}
    assert figures == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truths, predicted),
            "log_loss": metrics.log_loss(truths, probabilities, labels=range(4)),
            "brier": metrics.brier_score_loss(truths, probabilities, labels=range(4), scale_by_half=False),
            "macro_f1": metrics.f1_score(truths, predicted, labels=range(3), average="macro"),
        }
    )
    assert found.losses.mean() == pytest.approx(1 - figures["accuracy"])
    assert next(iter(found.figures)) == "accuracy"


def test_tables(data: tuple[Any, Any]) -> None:
    probabilities, truths = data
    found = scored(kind(), probabilities, truths)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truths, predicted, labels=range(3))
    assert {
        row["label"]: (row["precision"], row["recall"], row["f1"], row["records"]) for row in found.detail["labels"]
    } == {VOCAB[at]: pytest.approx((precision[at], recall[at], f1[at], support[at]), abs=1e-6) for at in range(3)}
    matrix = metrics.confusion_matrix(truths, predicted, labels=range(4))
    confusion = {(row["truth"], row["prediction"]): row["records"] for row in found.detail["confusion"]}
    assert confusion == {(VOCAB[i], VOCAB[j]): matrix[i, j] for i, j in zip(*matrix.nonzero(), strict=True)}
    assert [row["records"] for row in found.detail["confusion"]] == sorted(matrix[matrix > 0], reverse=True)


def test_labels_that_the_model_does_not_know_are_wrong_answers(data: tuple[Any, Any]) -> None:
    probabilities, truths = data
    known = kind()
    before = scored(known, probabilities, truths)
    answers = np.array([[0, 1, 0, 0, 0.0]])
    assert known.truth(["new"]) == [-1]
    assert known.truth(["new"]) == [-1]
    assert known.unknown == {"new": 2}
    alone = known.score(answers, np.array([[-1.0]]))
    assert alone.figures["accuracy"].value == 0
    assert "log_loss" not in alone.figures
    assert alone.detail["confusion"] == [{"truth": None, "prediction": "a", "records": 1}]
    assert before.figures["log_loss"].value > 0


@pytest.mark.parametrize(
    ("vocab", "value", "code"),
    [
        (["a", "NA"], "a", 0),
        (["a", "NA"], " a ", 0),
        (["a", "NA"], "NA", 1),
        ([" a", "b"], "a", 0),
        (["a", "b"], "NA", None),
        (["a", "b"], None, None),
        (["a", "b"], float("nan"), None),
        (["a", "b"], "", None),
        (["a", "b"], 3, -1),
        (["a", "b"], ["a"], -1),
        ([0, 1], "1", 1),
        ([0, 1], 1.0, 1),
        ([0, 1], "1.0", 1),
        ([0, 1], 2, -1),
        ([False, True], True, 1),
        ([False, True], "true", 1),
        ([False, True], 1, 1),
    ],
)
def test_truths(vocab: list[Any], value: Any, code: int | None) -> None:
    assert kind(vocab).truth([value]) == (None if code is None else [code])


def test_only_the_largest_probabilities() -> None:
    """Without the others there is no log loss, but a calibration."""
    found = kind(top=2)
    answers = [found.answer({"prediction": "b", "probabilities": {"b": 0.7, "c": 0.2}}) for _ in range(3)]
    scores = found.score(np.array(answers), np.array([[1.0], [1.0], [2.0]]))
    assert list(scores.figures) == ["accuracy", "calibration_error", "macro_f1"]
    assert scores.figures["calibration_error"].value == pytest.approx(0.7 - 2 / 3)
    assert found.confidences(np.array(answers)) == pytest.approx(np.full((3, 1), 0.7))


def test_outputs_that_are_no_probabilities() -> None:
    found = kind(activation="identity")
    answers = np.array(
        [found.answer(logs.label(0.3) | {"prediction": "a", "probabilities": dict.fromkeys(VOCAB, 5.0)})]
    )
    assert found.confidences(answers) is None
    assert list(found.score(answers, np.array([[0.0]])).figures) == ["accuracy", "macro_f1"]


def test_answers_of_another_model_are_refused() -> None:
    for answer in (
        {"prediction": "z", "probabilities": {}},
        {"prediction": "a"},
        {"prediction": ["a"], "probabilities": {}},
    ):
        with pytest.raises((KeyError, TypeError)):
            kind().answer(answer)
