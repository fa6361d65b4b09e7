"""A number, or one for each target, whose errors are then averaged."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import Any

import numpy as np

from fastmar_contract.cells import read_number
from fastmar_monitor.feedback.intervals import Figure, Numbers, mean
from fastmar_monitor.feedback.kinds import AnswerKind, Scores, is_missing
from fastmar_runtime.spec import Spec


class Kind(AnswerKind):
    """Rows of answers and truths: the numbers."""

    loss = "mean absolute error"
    has_right_answers = False

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._size = int(spec.decode["size"])
        self.columns = spec.targets[: self._size]

    @property
    def form(self) -> str:
        return f"{self._size} number{'s' * (self._size != 1)}"

    def answer(self, answer: dict[str, Any]) -> Sequence[float]:
        value = answer["prediction"]
        return _numbers(value if isinstance(value, list) else [value], self._size)

    def truth(self, values: Sequence[Any]) -> Sequence[float] | None:
        read = [read_number(value) if isinstance(value, str) else value for value in values]
        if any(map(is_missing, read)):
            return None
        return _numbers(read, self._size)

    def score(self, answers: Numbers, truths: Numbers) -> Scores:
        errors = answers - truths
        losses = np.abs(errors).mean(axis=1)
        rows = []
        if self._size > 1:
            rows = [
                {"target": name, **{key: each.as_dict() for key, each in _figures(errors[:, at : at + 1]).items()}}
                for at, name in enumerate(self.columns)
            ]
        return Scores(_figures(errors), losses, detail={"targets": rows} if rows else {})


def _figures(errors: Numbers) -> dict[str, Figure]:
    """Mean absolute error, root of the mean squared error, and bias: the mean of ``prediction - truth``."""
    return {
        "mae": mean(np.abs(errors).mean(axis=1)),
        "rmse": mean((errors**2).mean(axis=1)).map(lambda square: sqrt(max(0.0, square))),
        "bias": mean(errors.mean(axis=1)),
    }


def _numbers(values: Sequence[Any], size: int) -> list[float]:
    found = [float(value) for value in values]
    if len(found) != size or not all(map(isfinite, found)):
        raise ValueError(f"not {size} numbers")
    return found
