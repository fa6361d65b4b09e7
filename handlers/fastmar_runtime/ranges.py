"""Expected ranges of numbers: a number far from the training data gets a warning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastmar_contract.values import FLOAT32_MAX, NUMBER
from fastmar_runtime.spec import Field, Spec

_DEVIATIONS = 20.0
"""Distance from the mean, in standard deviations, from which a number is far. By Chebyshev's inequality, at most one
training row in 400 is further away, whatever the distribution: ordinary rows of columns with a long tail, such as
incomes, must not get warnings."""

_DEVIATIONS_OF_BATCHES = 50.0
"""The same for the running mean and deviation of a batch norm layer, which depend on the last few batches."""

_ROUNDED = 1e-3  # relative difference of a field's default from the mean


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high` get no warning; `about` describes the training data."""

    low: float
    high: float
    about: str


def expected_ranges(spec: Spec) -> dict[str, Range]:
    """Ranges by column, from the statistics of Normalize or else of the field; columns without statistics have no
    range.

    Numbers within the range of the reference data never get a warning.
    """
    means: dict[str, Any] = {}
    deviations: dict[str, Any] = {}
    for step in spec.steps:
        if step.get("step") == "normalize":
            means, deviations = step.get("means", {}), step.get("stds", {})
    found = {}
    for field in spec.fields:
        if field.kind != NUMBER:
            continue
        if _are_numbers(means.get(field.name), deviations.get(field.name)):
            expected = _around(field, means[field.name], deviations[field.name], _DEVIATIONS, 0.0)
        elif (
            _are_numbers(field.default, field.spread) and field.minimum is None
        ):  # with a minimum, the default is a median of the reference data
            expected = _around(
                field, field.default, field.spread, _DEVIATIONS_OF_BATCHES, _ROUNDED * abs(field.default)
            )
        else:
            expected = _around_reference(field)
        if expected is not None:
            found[field.name] = expected
    return found


def _around(field: Field, mean: float, deviation: Any, deviations: float, rounded: float) -> Range | None:
    if deviation <= 0:
        return None
    reach = deviations * deviation + rounded
    low, high = mean - reach, mean + reach
    about = f"training data: {mean:.4g} ± {deviation:.4g}"
    if _are_numbers(field.minimum, field.maximum):
        low, high = min(low, field.minimum), max(high, field.maximum)
        about += f", reference data: {field.minimum:.6g} to {field.maximum:.6g}"
    return Range(max(low, -FLOAT32_MAX), min(high, FLOAT32_MAX), about)


def _around_reference(field: Field) -> Range | None:
    """The range of a column without statistics in the learner."""
    if not _are_numbers(field.minimum, field.maximum):
        return None
    low, high = float(field.minimum), float(field.maximum)  # type: ignore[arg-type]
    if not low < high:
        return None
    reach = _DEVIATIONS * (high - low)
    about = f"reference data: {low:.6g} to {high:.6g}"
    return Range(max(low - reach, -FLOAT32_MAX), min(high + reach, FLOAT32_MAX), about)


def _are_numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) for value in values)
