"""Any number of labels: each label of the model is a decision. Labels that the model does not know are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmar_contract.cells import NULLS
from fastmar_monitor.feedback.calibration import Calibration
from fastmar_monitor.feedback.intervals import Figure, Numbers, mean, ratio, share
from fastmar_monitor.feedback.kinds import AnswerKind, Scores, f1_scores, is_missing, label_rows
from fastmar_monitor.feedback.labels import Labels
from fastmar_runtime.spec import Spec

SEPARATOR = ";"  # of the labels in a text; `fastmar score` writes the same


class Kind(AnswerKind):
    """Rows of answers: 1 for each predicted label, else 0; then the probabilities, without `top`. Truths: 0 and 1."""

    loss = "share of wrong decisions"

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.labels = Labels(spec.decode["vocab"])
        self._has_probabilities = "top" not in spec.decode and spec.decode.get("activation") != "identity"

    @property
    def form(self) -> str:
        return f"any of the labels {', '.join(sorted(self.labels.texts))}"

    def answer(self, answer: dict[str, Any]) -> Sequence[float]:
        row = self._row([self.labels.code(label) for label in answer["prediction"]])
        if self._has_probabilities:
            row += [float(answer["probabilities"][name]) for name in self.labels.texts]
        return row

    def truth(self, values: Sequence[Any]) -> Sequence[float] | None:
        [value] = values
        if is_missing(value) or (isinstance(value, str) and value in NULLS and self.labels.find(value) in (None, -1)):
            return None
        codes = []
        for each in self._split(value):
            code = self.labels.find(each)
            if code is None or code < 0:
                self.unknown[str(each)] += 1
            else:
                codes.append(code)
        return self._row(codes)

    def confidences(self, answers: Numbers) -> Numbers | None:
        """The probability of a label that was predicted, else of its absence."""
        if not self._has_probabilities:
            return None
        size = len(self.labels.texts)
        return np.where(answers[:, :size] == 1, answers[:, size:], 1 - answers[:, size:])

    def score(self, answers: Numbers, truths: Numbers) -> Scores:
        predicted = answers[:, : len(self.labels.texts)]
        right = predicted == truths
        losses = 1.0 - right.mean(axis=1)
        hits = predicted * truths
        counts = (hits.sum(axis=0), predicted.sum(axis=0), truths.sum(axis=0))
        figures = {
            "accuracy": mean(right.mean(axis=1)),
            "exact_match": share(int(right.all(axis=1).sum()), len(right)),
            "micro_f1": ratio(2 * hits.sum(axis=1), (predicted + truths).sum(axis=1)),
            "macro_f1": Figure(float(f1_scores(*counts).mean())),
        }
        calibration = None
        if (confidences := self.confidences(answers)) is not None:
            probabilities = answers[:, len(self.labels.texts) :]
            of_truth = np.where(truths == 1, probabilities, 1 - probabilities)
            least = np.finfo(np.float64).eps
            calibration = Calibration(confidences, right)
            figures["log_loss"] = mean(-np.log(np.clip(of_truth, least, 1)).mean(axis=1))
            figures["brier"] = mean(((probabilities - truths) ** 2).mean(axis=1))
            figures["calibration_error"] = Figure(calibration.error)
        return Scores(figures, losses, calibration, {"labels": label_rows(self.labels.texts, *counts)})

    def _split(self, value: Any) -> Sequence[Any]:
        """The labels of a list, or of a text with separators; `;` alone is no label."""
        if not isinstance(value, str):
            return list(value) if isinstance(value, list | tuple) else [value]
        if self.labels.find(value) not in (None, -1):
            return [value]
        return [part.strip() for part in value.split(SEPARATOR) if part.strip()]

    def _row(self, codes: Sequence[int]) -> list[float]:
        row = [0.0] * len(self.labels.texts)
        for code in codes:
            row[code] = 1.0
        return row
