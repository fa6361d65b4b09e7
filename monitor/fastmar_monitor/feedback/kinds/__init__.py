"""What can be measured of a kind of answer: one module each, named like the kind, with a class `Kind`.

To support another kind, add its module.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastmar_monitor.errors import FeedbackUnsupported, MonitorError
from fastmar_monitor.feedback.calibration import Calibration
from fastmar_monitor.feedback.intervals import Figure, Numbers, p_mean_grew, p_means_differ
from fastmar_runtime.spec import Spec


@dataclass(frozen=True, slots=True)
class Scores:
    """What was measured of some records.

    Attributes:
        figures: the figures by name; the first one is the main figure.
        losses: the loss of each record, 0 for a right answer. The verdict compares the mean losses.
        calibration: the calibration of the confidences; None if there are none.
        detail: tables by name, such as the confusion; rows are JSON objects.
    """

    figures: dict[str, Figure]
    losses: Numbers
    calibration: Calibration | None = None
    detail: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object, without the details."""
        return {name: figure.as_dict() for name, figure in self.figures.items()}


class AnswerKind(ABC):
    """Measures a kind of answer. Answers and truths are read as rows of numbers, whose meaning the kind knows.

    Attributes:
        loss: name of the mean loss, for sentences.
        has_right_answers: whether answers are right or wrong: a right one has the loss 0.
        has_labels: whether an answer is one label.
        of_known_labels: figures that leave out records whose true label the model does not know.
        columns: default names of the columns with the truth.
        unknown: labels of the truth that the model does not know, and how often they were read.
    """

    loss: ClassVar[str]
    has_right_answers: ClassVar[bool] = True
    has_labels: ClassVar[bool] = False
    of_known_labels: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.columns: tuple[str, ...] = spec.targets[:1]
        self.unknown: Counter[str] = Counter()

    def check_columns(self, columns: Sequence[str]) -> Sequence[str]:
        """The columns with the truth: `columns`, or the default if there are none.

        Raises:
            MonitorError: their number is wrong.
        """
        if columns and len(columns) != len(self.columns):
            raise MonitorError(
                f"{len(columns)} columns with the truth were named; {self.spec.name} predicts "
                f"{', '.join(self.columns)}.",
                fix=f"name {len(self.columns)} with --column.",
                code="truth_column_count",
            )
        return columns or self.columns

    @property
    @abstractmethod
    def form(self) -> str:
        """What answers are, such as "2 numbers"; answers of two models are comparable if it is the same."""

    @abstractmethod
    def answer(self, answer: dict[str, Any]) -> Sequence[float]:
        """The numbers of a logged answer, always as many. Raises KeyError, TypeError or ValueError."""

    @abstractmethod
    def truth(self, values: Sequence[Any]) -> Sequence[float] | None:
        """The numbers of a truth, always as many; None if it is missing.

        Args:
            values: one of each column; of a CSV, texts.

        Raises:
            ValueError: the value is no truth of such a model.
        """

    @abstractmethod
    def score(self, answers: Numbers, truths: Numbers) -> Scores:
        """Compare the rows of at least one answer with those of the truths."""

    def confidences(self, answers: Numbers) -> Numbers | None:  # noqa: ARG002 - for overrides
        """The confidence of each decision, [records, decisions]; None if answers have none."""
        return None

    def p_value(self, before: Numbers, after: Numbers) -> float:
        """The probability of such a growth of the mean loss, or a larger one, by chance."""
        return p_mean_grew(before, after)

    def paired_p_value(self, before: Numbers, after: Numbers) -> float:
        """The probability of such a difference of the mean losses of two models, or a larger one, by chance.

        Args:
            before: loss of each record.
            after: the losses of the same records with the other model.
        """
        return p_means_differ(before, after)

    def label(self, number: float) -> str | None:  # noqa: ARG002 - for overrides
        """The label with the number in a row of answers or truths; None if it is unknown, or without `has_labels`."""
        return None


def kind_for(spec: Spec) -> AnswerKind:
    """What measures the answers of a model.

    Raises:
        FeedbackUnsupported: nothing does.
    """
    name, known = spec.decode.get("decoder"), [info.name for info in pkgutil.iter_modules(__path__)]
    if name not in known or spec.generator is not None:
        raise FeedbackUnsupported(
            f"{spec.name} answers with {'texts' if spec.generator else name}, which can't be compared with a truth.",
            fix=f"pass a model of one of these kinds of answers: {', '.join(sorted(known))}.",
        )
    kind: AnswerKind = importlib.import_module(f"{__name__}.{name}").Kind(spec)
    return kind


def is_missing(value: Any) -> bool:
    """Whether a value is null, or pandas' NaN."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124


def f1_scores(hits: Numbers, predicted: Numbers, present: Numbers) -> npt.NDArray[np.float64]:
    """F1 of each label: ``2 hits / (predicted + present)``; 0 for a label that is neither predicted nor present."""
    return np.asarray(2 * hits / np.maximum(1, predicted + present), np.float64)


def label_rows(labels: Sequence[str], hits: Numbers, predicted: Numbers, present: Numbers) -> list[dict[str, Any]]:
    """Precision and recall of each label that was predicted or present, the most frequent first."""
    f1 = f1_scores(hits, predicted, present)
    return [
        {
            "label": labels[at],
            "records": int(present[at]),
            "precision": round(float(hits[at] / predicted[at]), 6) if predicted[at] else None,
            "recall": round(float(hits[at] / present[at]), 6) if present[at] else None,
            "f1": round(float(f1[at]), 6),
        }
        for at in np.argsort(-present, kind="stable").tolist()
        if predicted[at] or present[at]
    ]
