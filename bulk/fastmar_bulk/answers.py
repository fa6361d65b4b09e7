"""Outputs of the graph to columns of answers, by kind of answer.

The names of the columns are those of `fastmar_client.csv_answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fastmar_bulk.columns import Bools
from fastmar_client.csv_answers import (
    ERROR,
    INDEX,
    PREDICTION,
    PROBABILITIES,
    PROBABILITY,
    WARNINGS,
    error_text,
    warnings_text,
)
from fastmar_contract.errors import RecordError, TableUnreadable
from fastmar_runtime.activations import ACTIVATIONS
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.ranking import largest
from fastmar_runtime.spec import Spec

ERROR_CODE, ERROR_FIELD = "error_code", "error_field"


@dataclass(frozen=True)
class Answers:
    """The answers to rows of a table.

    Attributes:
        output: the output of the graph, float32 [rows, ...]; meaningless for refused rows.
        errors: the errors of refused rows, by row.
        warnings: the warnings of the other rows, by row.
        geometries: the geometries of answered pictures, by row.
    """

    output: npt.NDArray[np.float32]
    errors: dict[int, RecordError]
    warnings: dict[int, list[dict[str, Any]]]
    geometries: dict[int, Geometry]

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.output)

    @cached_property
    def refused(self) -> Bools | None:
        """Refused rows; None if there are none."""
        if not self.errors:
            return None
        refused = np.zeros(self.size, dtype=bool)
        refused[list(self.errors)] = True
        return refused


Named = dict[str, pa.Array]
Columns = Callable[[Answers], Named]


class AnswerTable:
    """The columns of a model's answers.

    Raises:
        TableUnreadable: the model's answers can't be columns of a table.

    Attributes:
        choices: names that can be chosen; one can stand for several columns.
        default: the names that are chosen by default.
    """

    def __init__(self, spec: Spec) -> None:
        kind = KINDS.get(spec.decode["decoder"])
        if kind is None:
            raise TableUnreadable(
                f"{spec.name} answers with {spec.decode['decoder']}, which columns of a table can't hold.",
                fix="use `fastmar predict`.",
                code="no_columns",
            )
        self._predictions = kind(spec)
        self._kinds: dict[str, Columns] = {
            WARNINGS: _warnings,
            ERROR: _errors,
            ERROR_CODE: lambda answers: {ERROR_CODE: _error_part(answers, "code")},
            ERROR_FIELD: lambda answers: {ERROR_FIELD: _error_part(answers, "field")},
        }
        self.choices = (*self._predictions.names, *self._kinds)
        likelihood = [name for name in (PROBABILITY, PROBABILITIES) if name in self._predictions.names]
        self.default = (PREDICTION, *likelihood[:1], WARNINGS, ERROR)

    def columns(self, answers: Answers, chosen: Sequence[str]) -> Named:
        """The `chosen` columns of answers. Predictions of refused rows are null."""
        predicted = self._predictions(answers)
        columns: Named = {}
        for name in chosen:
            columns |= predicted[name]() if name in predicted else self._kinds[name](answers)
        return columns


class _Kind:
    """The predictions of a kind of answer: for each name a function that makes the columns."""

    names: tuple[str, ...] = (PREDICTION,)

    def __init__(self, spec: Spec) -> None:
        self._activation = ACTIVATIONS[spec.decode.get("activation", "identity")]
        self._targets = spec.targets
        self._labels = [str(label) for label in spec.decode.get("vocab", ())]
        self._top = spec.decode.get("top")
        self._state = spec.decode

    def __call__(self, answers: Answers) -> dict[str, Callable[[], Named]]:
        raise NotImplementedError


class _Category(_Kind):
    names: tuple[str, ...] = (PREDICTION, PROBABILITY, PROBABILITIES, INDEX)

    def __call__(self, answers: Answers) -> dict[str, Callable[[], Named]]:
        probabilities = self._activation(answers.output)
        refused = answers.refused
        index = probabilities.argmax(axis=-1)

        def prediction() -> Named:
            codes = pa.array(index.astype(np.int32), mask=refused)
            return {PREDICTION: pa.DictionaryArray.from_arrays(codes, pa.array(self._labels, pa.string()))}

        def probability() -> Named:
            return {PROBABILITY: pa.array(probabilities[np.arange(len(index)), index], mask=refused)}

        return {
            PREDICTION: prediction,
            PROBABILITY: probability,
            PROBABILITIES: lambda: self._probabilities(probabilities, refused),
            INDEX: lambda: {INDEX: pa.array(index.astype(np.int64), mask=refused)},
        }

    def _probabilities(self, probabilities: npt.NDArray[np.float32], refused: Bools | None) -> Named:
        """A column for each label, or a map of the `top` largest."""
        if self._top is None:
            return {
                f"{PROBABILITY}_{label}": pa.array(np.ascontiguousarray(probabilities[:, at]), mask=refused)
                for at, label in enumerate(self._labels)
            }
        maps: list[Any] = [
            [(self._labels[at], row[at]) for at in largest(row, self._top).tolist()] for row in probabilities
        ]
        if refused is not None:
            maps = [None if out else each for each, out in zip(maps, refused.tolist(), strict=True)]
        return {PROBABILITIES: pa.array(maps, pa.map_(pa.string(), pa.float32()))}


class _MultiCategory(_Category):
    names = (PREDICTION, PROBABILITIES)

    def __call__(self, answers: Answers) -> dict[str, Callable[[], Named]]:
        probabilities = self._activation(answers.output)
        refused = answers.refused
        threshold = self._state["threshold"]
        limits = np.asarray(threshold, dtype=np.float64 if isinstance(threshold, list) else np.float32)

        def prediction() -> Named:
            chosen = probabilities > limits
            labels = pa.array(self._labels, pa.string()).take(pa.array(np.nonzero(chosen)[1], pa.int64()))
            ends = np.concatenate([[0], chosen.sum(axis=1).cumsum()]).astype(np.int32)
            mask = None if refused is None else pa.array(refused)
            return {PREDICTION: pa.ListArray.from_arrays(pa.array(ends), labels, mask=mask)}

        return {PREDICTION: prediction, PROBABILITIES: lambda: self._probabilities(probabilities, refused)}


class _Numbers(_Kind):
    def __call__(self, answers: Answers) -> dict[str, Callable[[], Named]]:
        def prediction() -> Named:
            rows = self._activation(answers.output)
            rows = rows.reshape(answers.size, int(np.prod(rows.shape[1:])))
            columns = [pa.array(np.ascontiguousarray(column), mask=answers.refused) for column in rows.T]
            if self._state.get("size") == 1:
                return {PREDICTION: columns[0]}
            if 2 <= len(self._targets) == len(columns):
                named = zip(self._targets, columns, strict=True)
                return {f"{PREDICTION}_{target}": column for target, column in named}
            mask = None if answers.refused is None else pa.array(answers.refused)
            values = pa.array(rows.reshape(-1))
            return {PREDICTION: pa.FixedSizeListArray.from_arrays(values, rows.shape[1], mask=mask)}

        return {PREDICTION: prediction}


class _Points(_Kind):
    """Lists of [x, y] in pixels of the original picture."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._decode = load_decoder(spec.decode)

    def __call__(self, answers: Answers) -> dict[str, Callable[[], Named]]:
        def prediction() -> Named:
            rows = list(answers.geometries)
            points: list[Any] = [None] * answers.size
            decoded = self._decode(answers.output[rows], list(answers.geometries.values()))
            for row, answer in zip(rows, decoded, strict=True):
                points[row] = answer[PREDICTION]
            return {PREDICTION: pa.array(points, pa.list_(pa.list_(pa.float64())))}

        return {PREDICTION: prediction}


KINDS: dict[str, type[_Kind]] = {
    "category": _Category,
    "multi_category": _MultiCategory,
    "points": _Points,
    "raw": _Numbers,
    "regression": _Numbers,
}
"""By the decoder's name."""


def _warnings(answers: Answers) -> Named:
    return {WARNINGS: _texts(answers.size, {row: warnings_text(found) for row, found in answers.warnings.items()})}


def _errors(answers: Answers) -> Named:
    return {ERROR: _texts(answers.size, {row: error_text(e.message, e.fix) for row, e in answers.errors.items()})}


def _error_part(answers: Answers, part: str) -> pa.Array:
    return _texts(answers.size, {row: getattr(error, part) for row, error in answers.errors.items()})


def _texts(size: int, texts: Mapping[int, str | None]) -> pa.Array:
    """A column of texts, null in other rows."""
    if not texts:
        return pa.nulls(size, pa.string())
    values: list[str | None] = [None] * size
    for row, text in texts.items():
        values[row] = text
    return pa.array(values, pa.string())
