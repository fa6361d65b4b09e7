"""How an answer changes when one column of its record changes: `{"age": 49, ..., "explain": true}`.

Each column gets a curve: the answers to copies of the record that differ in this column only. The columns are ranked by
occlusion: the difference of the answer if the column has its typical value. Neither shows how columns act together, and
copies may be records that never occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from fastmar_contract.display import json_safe
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.operations import Answer, Model, Operations
from fastmar_runtime.record_schemas import json_value, typical_value
from fastmar_runtime.spec import Field, Spec
from fastmar_runtime.steps.add_datepart import LIMITS

EXPLAIN = "explain"  # option of a record; only the value true requests an explanation

MAX_ROWS = 4000
"""Maximum copies of the record, of all columns together."""

MAX_CATEGORIES = 50  # in a curve
_POINTS = 16  # of the curve of a number
# Range of a curve around the mean, without reference data: it stays within the values of a uniform distribution, which
# reaches 1.73 standard deviations, such as that of months.
_DEVIATIONS = 1.5
_DAYS = 28  # between the points of the curve of a date: the same day of the week
_DATES = 13  # points of the curve of a date
_KINDS = (CATEGORY, NUMBER, DATE)


def is_explained(spec: Spec) -> bool:
    """Whether the model explains its answers: it reads a table or a picture, and answers with one label or one number.

    A column with the name of the option takes precedence.
    """
    names = {name for field in spec.fields for name in (field.name, *field.aliases)}
    is_number = spec.decode.get("decoder") == "regression" and spec.decode.get("size") == 1
    is_simple = is_number or spec.decode.get("decoder") == "category"
    return spec.kind in ("tabular", "vision") and is_simple and EXPLAIN not in names


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the record that is explained.

    Attributes:
        name: the name in the record, which may be an alias.
        typical: the value with which it is compared; None if there is none for a number or a date.
        values: the values of the curve, which need not contain the value of the record.
    """

    field: Field
    name: str
    typical: Any
    values: list[Any]


class WhatIf(Operations):
    """Answers records that request an explanation."""

    def __init__(self, model: Model) -> None:
        self._spec = model.spec
        self._predict = model.predict
        self._target = model.spec.targets[0]
        self._fields = [field for field in model.spec.fields if field.kind in _KINDS]
        self._points = max(2, MAX_ROWS // max(1, len(self._fields)) - 2)  # of a curve, without the two other copies
        self._parts = _date_part_limits(model.spec)
        self._size = 1 + sum(self._count(field) + 2 for field in self._fields)

    def option(self, record: Any) -> str | None:
        """See `Operations`."""
        return EXPLAIN if self.is_requested(record) else None

    def is_requested(self, record: Any) -> bool:
        """See `Operations`. A CSV file may have a column with the name of the option: its values are texts."""
        return isinstance(record, dict) and record.get(EXPLAIN) is True

    def size(self, record: dict[str, Any]) -> int:  # noqa: ARG002
        """See `Operations`."""
        return self._size

    def answer(self, record: dict[str, Any]) -> Answer:
        """The answer to a record, and how each of its columns changes it.

        Returns:
            ``{"answer", "outcome", "value", "columns", "warnings"}``. `answer` and `warnings` are those of a
            prediction. `outcome` is the predicted label or the name of the target, `value` its probability or the
            predicted number. `columns` has for each column of the record
            ``{"column", "sent", "typical", "effect", "curve": [{"value", "outcome"}]}``: `effect` is `value` minus the
            value of the same record with the typical value, or null; the curve has what `value` would be.
            The column with the largest effect is first; of those with the same effect, such as columns that have their
            typical value, the one with the curve of the largest height.

        Raises:
            RecordError: the record can't be predicted.
        """
        sent = {name: value for name, value in record.items() if name != EXPLAIN}
        columns = list(self._columns(sent))
        rows = [sent]
        for column in columns:
            rows += [{**sent, column.name: value} for value in (column.typical, *column.values)]
        answer, *others = self._predict(rows)
        if "error" in answer:
            raise RecordError.from_dict(answer["error"])
        outcome = answer["prediction"] if "probabilities" in answer else None
        value = value_of(answer, outcome)
        numbers = iter([value_of(other, outcome) for other in others])
        explained = [_explained(column, sent[column.name], value, numbers) for column in columns]
        explained.sort(key=lambda each: (-abs(each["effect"] or 0), -_height(each["curve"])))
        warnings = answer.pop("warnings")
        outcome = self._target if outcome is None else outcome
        return {"answer": answer, "outcome": outcome, "value": value, "columns": explained, "warnings": warnings}

    def _columns(self, record: dict[str, Any]) -> Iterator[_Column]:
        for field in self._fields:
            name = next((name for name in (field.name, *field.aliases) if name in record), None)
            if name is not None:
                values = self._values(field, record[name])
                yield _Column(field, name, typical_value(self._spec, field), values)

    def _count(self, field: Field) -> int:
        """The largest number of values in the curve of a field."""
        kinds = {CATEGORY: min(len(field.categories), MAX_CATEGORIES), NUMBER: _POINTS + 1, DATE: _DATES}
        return min(self._points, kinds[field.kind])

    def _values(self, field: Field, value: Any) -> list[Any]:
        """The values of the curve of a field, in their order; `value` is the record's."""
        count = self._count(field)
        if field.kind == CATEGORY:
            return [json_value(category) for category in field.categories[:count]]
        if field.kind == DATE:
            return _dates(value, count)
        limits = self._limits(field)
        return [] if limits is None else _numbers(field, value, count, limits, is_whole=field.name in self._parts)

    def _limits(self, field: Field) -> tuple[float, float] | None:
        """The smallest and the largest value of a number that occur: those of `ui.yaml`, of the reference data and of
        parts of dates. They may be infinite; None if they contradict each other.
        """
        configured = ((self._spec.ui or {}).get("fields") or {}).get(field.name) or {}
        lows, highs = [-math.inf], [math.inf]
        for low, high in (
            (field.minimum, field.maximum),
            (configured.get("minimum"), configured.get("maximum")),
            self._parts.get(field.name, (None, None)),
        ):
            lows += [low] if isinstance(low, int | float) else []
            highs += [high] if isinstance(high, int | float) else []
        return (max(lows), min(highs)) if max(lows) < min(highs) else None


def _date_part_limits(spec: Spec) -> dict[str, tuple[int, int]]:
    """The limits of columns that are parts of a date."""
    return {
        step["prefix"] + part: LIMITS[part]
        for step in spec.steps
        if step.get("step") == "add_datepart"
        for part in step["parts"]
        if part in LIMITS
    }


def _explained(column: _Column, sent: Any, value: float, numbers: Iterator[float | None]) -> dict[str, Any]:
    """The explanation of a column; takes the numbers of its copies."""
    typical = next(numbers)
    has_typical = column.typical is not None or column.field.kind == CATEGORY
    curve = [{"value": each, "outcome": next(numbers)} for each in column.values]
    return {
        "column": column.name,
        "sent": json_safe(sent),
        "typical": column.typical,
        "effect": value - typical if has_typical and typical is not None else None,
        "curve": [point for point in curve if point["outcome"] is not None],
    }


def _height(curve: list[dict[str, Any]]) -> float:
    outcomes = [point["outcome"] for point in curve]
    return max(outcomes) - min(outcomes) if outcomes else 0.0


def value_of(answer: Answer, label: str | None) -> Any:
    """The predicted number, or the probability of a label; None if the answer has none."""
    if label is None:
        return answer.get("prediction")
    return answer.get("probabilities", {}).get(label)


def _numbers(field: Field, value: Any, count: int, limits: tuple[float, float], *, is_whole: bool = False) -> list[Any]:
    """Round numbers over the usual range of a field, within its limits, and the record's number."""
    own = [float(value)] if type(value) in (int, float) and abs(value) <= np.finfo(np.float32).max else []
    least, most = limits
    low, high = limits
    if field.minimum is None or field.maximum is None:
        if not isinstance(field.default, int | float) or not field.spread:
            return []
        reach = _DEVIATIONS * field.spread
        if field.default > 0 and not any(number < 0 for number in own):
            least = max(least, 0.0)  # ages, prices and counts: the learner does not record whether a number is signed
        low, high = max(field.default - reach, least), min(field.default + reach, most)
    step = (high - low) / max(1, count - 2)
    if not 0 < step < math.inf:
        return []
    digits = 0 if is_whole else -math.floor(math.log10(step))
    spaced = [round(float(number), digits) for number in np.linspace(low, high, max(2, count - 1))]
    ends = [low if low == least else spaced[0], high if high == most else spaced[-1]]
    return [_integer(number) for number in sorted({*ends, *spaced[1:-1], *own})]


def _integer(number: float) -> int | float:
    return int(number) if number == int(number) and abs(number) < 1 << 53 else float(number)


def _dates(value: Any, count: int) -> list[Any]:
    """Dates around the record's, on the same day of the week; none if it is no ISO 8601 date."""
    try:
        date = datetime.fromisoformat(value)
        found = [date + timedelta(days=_DAYS * at) for at in range(-(count // 2), count - count // 2)]
    except (ValueError, TypeError, OverflowError):
        return []
    return [each.isoformat() if "T" in value or " " in value else each.date().isoformat() for each in found]
