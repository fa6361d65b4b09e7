"""The comparison of two models on the same records: figures, tests and counts are those of scikit-learn and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from fastmar_monitor.errors import FeedbackUnsupported, NoTruths
from fastmar_monitor.feedback import intervals
from fastmar_monitor.feedback.kinds import AnswerKind, kind_for
from fastmar_monitor.feedback.paired import BETTER, NO_DIFFERENCE, WORSE, Comparison, Pairs
from tests.runtime import tiny

LABELS = ["a", "b", "c"]
ROWS = 300


def kind(**decode: Any) -> AnswerKind:
    return kind_for(tiny.spec(decode={"decoder": "category", "vocab": LABELS, "activation": "softmax", **decode}))


def numbers(size: int = 1) -> AnswerKind:
    decode = {"decoder": "regression", "size": size, "activation": "identity"}
    return kind_for(tiny.spec(decode=decode, targets=("x", "y")[:size]))


def answer(probabilities: Any, labels: list[str] = LABELS) -> dict[str, Any]:
    named = dict(zip(labels, map(float, probabilities), strict=True))
    return {"prediction": max(named, key=named.__getitem__), "probabilities": named}


def data(seed: int = 0) -> tuple[Any, Any, Any]:
    """Truths, and the probabilities of an old and of a better new model."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, ROWS)
    old, new = (rng.dirichlet([1, 1, 1], ROWS) for _ in range(2))
    new[np.arange(ROWS), truths] += 0.6
    return truths, old, new / new.sum(axis=1, keepdims=True)


def compared(truths: Any, old: Any, new: Any) -> Comparison:
    pairs = Pairs(kind(), kind())
    for truth, a, b in zip(truths, old, new, strict=True):
        pairs.add([LABELS[truth]], [LABELS[truth]], answer(a), answer(b))
    return pairs.compare()


class TestLabels:
    def test_figures(self) -> None:
        truths, old, new = data()
        found = compared(truths, old, new)
        for model, probabilities in (("old", old), ("new", new)):
            predicted = probabilities.argmax(axis=1)
            values = {name: getattr(figure, model) for name, figure in found.figures.items()}
            assert values["accuracy"] == pytest.approx(metrics.accuracy_score(truths, predicted))
            assert values["log_loss"] == pytest.approx(metrics.log_loss(truths, probabilities))
            assert values["macro_f1"] == pytest.approx(metrics.f1_score(truths, predicted, average="macro"))
        for figure in found.figures.values():
            assert figure.difference.value == pytest.approx(figure.new - figure.old)

    def test_outcomes_and_mcnemars_test(self) -> None:
        truths, old, new = data()
        found = compared(truths, old, new)
        before, after = old.argmax(axis=1) == truths, new.argmax(axis=1) == truths
        expected = [(before & after).sum(), (before & ~after).sum(), (~before & after).sum(), (~before & ~after).sum()]
        assert list(found.outcomes.values()) == expected
        assert found.p_value == pytest.approx(stats.binomtest(int(expected[1]), int(expected[1] + expected[2])).pvalue)
        assert found.verdict == BETTER
        assert compared(truths, new, old).verdict == WORSE
        same = compared(truths, old, old)
        assert (same.verdict, same.p_value, same.changes) == (NO_DIFFERENCE, 1.0, [])

    def test_rows_by_label_and_changed_answers(self) -> None:
        truths, old, new = data()
        found = compared(truths, old, new)
        assert {row["label"]: row["rows"] for row in found.labels} == {
            label: int((truths == at).sum()) for at, label in enumerate(LABELS)
        }
        for name, count in found.outcomes.items():
            assert sum(row[name] for row in found.labels) == count
        changed = old.argmax(axis=1) != new.argmax(axis=1)
        assert sum(row["rows"] for row in found.changes) == changed.sum()
        first = found.changes[0]
        codes = [LABELS.index(first[name]) for name in ("truth", "old", "new")]
        rows = (truths == codes[0]) & (old.argmax(axis=1) == codes[1]) & (new.argmax(axis=1) == codes[2])
        assert first["rows"] == rows.sum()

    def test_labels_may_have_another_order(self) -> None:
        truths, old, new = data()
        order = [2, 0, 1]
        labels = [LABELS[at] for at in order]
        pairs = Pairs(kind(), kind(vocab=labels))
        for truth, a, b in zip(truths, old, new, strict=True):
            pairs.add([LABELS[truth]], [LABELS[truth]], answer(a), answer(b[order], labels))
        assert pairs.compare().as_dict() == compared(truths, old, new).as_dict()

    def test_a_label_that_only_the_new_model_knows(self) -> None:
        """The old model is wrong about it. Figures that would leave out its rows are not compared."""
        pairs = Pairs(kind(vocab=["a", "b"]), kind())
        for label in ["a", "b", "c", "c"]:
            pairs.add([label], [label], answer([0.6, 0.4], ["a", "b"]), answer([float(x == label) for x in LABELS]))
        found = pairs.compare()
        assert (found.outcomes["only_new_right"], found.outcomes["both_right"]) == (3, 1)
        assert found.labels[0] | {"label": "c", "rows": 2} == found.labels[0]
        assert found.left_out == ("log_loss", "brier", "macro_f1")
        assert "accuracy" in found.figures
        assert any("'c'" in text for text in found.notices())

    def test_rows_that_are_left_out(self) -> None:
        pairs = Pairs(kind(), kind())
        right, refused = answer([1, 0, 0]), {"error": {"code": "missing_column"}}
        pairs.add(["a"], ["a"], right, right)
        pairs.add([""], [""], right, right)
        pairs.add(None, None, right, right)
        pairs.add(["a"], ["a"], right, refused)
        pairs.add(["a"], ["a"], refused, refused)
        found = pairs.compare()
        assert (found.rows, found.compared, found.without_truth, found.invalid) == (5, 1, 1, 1)
        assert (found.refused_by_old, found.refused_by_new) == ({"missing_column": 1}, {"missing_column": 2})
        assert len(list(found.notices())) == 4
        assert found.figures["accuracy"].difference.low is None

    def test_no_rows(self) -> None:
        with pytest.raises(NoTruths):
            Pairs(kind(), kind()).compare()


class TestNumbers:
    def test_errors_and_the_paired_t_test(self) -> None:
        rng = np.random.default_rng(0)
        truths = rng.normal(size=ROWS)
        old, new = truths + rng.normal(size=ROWS), truths + rng.normal(scale=1.5, size=ROWS)
        pairs = Pairs(numbers(), numbers())
        for truth, a, b in zip(truths, old, new, strict=True):
            pairs.add([str(truth)], [str(truth)], {"prediction": a}, {"prediction": b})
        found = pairs.compare()
        assert found.figures["rmse"].new == pytest.approx(metrics.root_mean_squared_error(truths, new))
        assert found.figures["mae"].old == pytest.approx(metrics.mean_absolute_error(truths, old))
        errors = abs(old - truths), abs(new - truths)
        assert found.p_value == pytest.approx(stats.ttest_rel(*errors).pvalue)
        assert found.verdict == WORSE
        closer = int((errors[0] < errors[1]).sum())
        assert found.outcomes == {"old_closer": closer, "new_closer": ROWS - closer, "equally_close": 0}
        assert found.labels == found.changes == []

    def test_a_constant_difference(self) -> None:
        values = np.arange(5.0)
        assert intervals.p_means_differ(values, values) == 1
        assert intervals.p_means_differ(values, values + 1) == 0
        assert intervals.p_means_differ(values[:1], values[:1] + 1) == 1


@pytest.mark.parametrize(
    "others",
    [
        (kind(), numbers()),
        (numbers(1), numbers(2)),
        (kind_for(tiny.spec(decode=tiny.MULTI_DECODER)),
         kind_for(tiny.spec(decode={**tiny.MULTI_DECODER, "vocab": ["cat", "cow"]}))),
    ],
)  # fmt: skip
def test_other_answers_are_not_comparable(others: tuple[AnswerKind, AnswerKind]) -> None:
    with pytest.raises(FeedbackUnsupported) as refusal:
        Pairs(*others)
    assert refusal.value.code == "answers_of_two_kinds"


class TestJackknife:
    def test_the_interval_of_a_mean_is_students(self) -> None:
        values = np.random.default_rng(0).normal(size=intervals.GROUPS)
        [found] = intervals.jackknife(lambda rows: [values[rows].mean()], len(values))
        expected = intervals.mean(values)
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))

    def test_the_interval_of_f1_agrees_with_the_bootstrap(self) -> None:
        """Within a quarter of its width: both are estimates, from 100 groups and 2,000 resamples."""
        truths, old, new = data()

        def difference(*columns: Any, axis: int = -1) -> Any:
            truths, before, after = columns
            scores = [metrics.f1_score(truths, predicted, average="macro") for predicted in (before, after)]
            return scores[1] - scores[0]

        columns = (truths, old.argmax(axis=1), new.argmax(axis=1))
        expected = stats.bootstrap(
            columns, difference, paired=True, vectorized=False, n_resamples=2000, rng=np.random.default_rng(0)
        ).confidence_interval
        found = compared(truths, old, new).figures["macro_f1"].difference
        allowed = 0.25 * (expected.high - expected.low)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=allowed)
