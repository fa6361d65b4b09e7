"""A single label. A truth outside the model's labels counts as a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_monitor.feedback.calibration import Calibration
from fastmar_monitor.feedback.intervals import Figure, Numbers, mean, p_share_grew, p_shares_differ, share
from fastmar_monitor.feedback.kinds import AnswerKind, Scores, f1_scores, is_missing, label_rows
from fastmar_monitor.feedback.labels import Labels
from fastmar_runtime.spec import Spec

MAX_PAIRS = 1000  # of the confusion, the most frequent ones
UNKNOWN = None  # the name of all unknown labels in the confusion


class Kind(AnswerKind):
    """Rows of answers: the label's number, and all probabilities, or with `top` that of the label. Truths: a number."""

    loss = "share of wrong answers"
    has_labels = True
    of_known_labels = frozenset({"log_loss", "brier", "macro_f1"})

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.labels = Labels(spec.decode["vocab"])
        self._is_top = "top" in spec.decode
        self._is_probability = spec.decode.get("activation") != "identity"
        self._is_distribution = spec.decode.get("activation") == "softmax" and not self._is_top

    @property
    def form(self) -> str:
        return "one label"

    def answer(self, answer: dict[str, Any]) -> Sequence[float]:
        label, probabilities = answer["prediction"], answer["probabilities"]
        names = [label] if self._is_top else self.labels.texts
        return [float(self.labels.code(label)), *(float(probabilities[name]) for name in names)]

    def truth(self, values: Sequence[Any]) -> Sequence[float] | None:
        [value] = values
        code = None if is_missing(value) else self.labels.find(value)
        if code == -1:
            self.unknown[str(value)] += 1
        return None if code is None else [float(code)]

    def confidences(self, answers: Numbers) -> Numbers | None:
        if not self._is_probability:
            return None
        at = np.zeros(len(answers), np.int64) if self._is_top else answers[:, 0].astype(np.int64)
        return answers[np.arange(len(answers)), 1 + at][:, None]

    def score(self, answers: Numbers, truths: Numbers) -> Scores:
        predicted, actual = answers[:, 0].astype(np.int64), truths[:, 0].astype(np.int64)
        right = predicted == actual
        figures = {"accuracy": share(int(right.sum()), len(right))}
        calibration = None
        known = actual >= 0
        if self._is_distribution and known.any():
            figures |= _distances(answers[known, 1:], actual[known])
        if (confidences := self.confidences(answers)) is not None:
            calibration = Calibration(confidences, right[:, None])
            figures["calibration_error"] = Figure(calibration.error)
        labels, present, each_right = self._counts(predicted, actual)
        named = [at for at in range(len(labels)) if present[at]]
        figures["macro_f1"] = Figure(float(f1_scores(*each_right, present)[named].mean()) if named else 0.0)
        detail = {"labels": label_rows(labels, *each_right, present), "confusion": self._confusion(predicted, actual)}
        return Scores(figures, 1.0 - right, calibration, detail)

    def p_value(self, before: Numbers, after: Numbers) -> float:
        return p_share_grew(before, after)

    def paired_p_value(self, before: Numbers, after: Numbers) -> float:
        return p_shares_differ(before, after)

    def label(self, number: float) -> str | None:
        return self.labels.texts[int(number)] if number >= 0 else None

    def _counts(
        self, predicted: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]
    ) -> tuple[list[str], Numbers, tuple[Numbers, Numbers]]:
        """The labels, the records that have each, and those that were right and predicted as each."""
        size = len(self.labels.texts)
        present = np.bincount(actual[actual >= 0], minlength=size).astype(np.float64)
        hits = np.bincount(actual[predicted == actual], minlength=size).astype(np.float64)
        return self.labels.texts, present, (hits, np.bincount(predicted, minlength=size).astype(np.float64))

    def _confusion(self, predicted: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """The number of records by truth and prediction, without pairs that do not occur."""
        names = [*self.labels.texts, UNKNOWN]
        size = len(names)
        pairs, counts = np.unique(actual % size * size + predicted, return_counts=True)  # -1 is the last name
        order = np.argsort(-counts, kind="stable")[:MAX_PAIRS]
        return [
            {"truth": names[pairs[at] // size], "prediction": names[pairs[at] % size], "records": int(counts[at])}
            for at in order
        ]


def _distances(probabilities: Numbers, actual: npt.NDArray[np.int64]) -> dict[str, Figure]:
    """Log loss, and the Brier score: the sum over the labels of ``(probability - truth)²`` (Brier 1950), from 0 to 2.

    Probabilities of 0 are raised to the least difference of float64 from 1, as scikit-learn does.
    """
    rows = np.arange(len(actual))
    of_truth = probabilities[rows, actual]
    least = np.finfo(np.float64).eps
    brier = (probabilities**2).sum(axis=1) - 2 * of_truth + 1
    return {"log_loss": mean(-np.log(np.clip(of_truth, least, 1))), "brier": mean(brier)}
