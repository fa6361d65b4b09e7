"""Compares a live profile with the reference profile of an archive.

A variable has the verdict `watch` or `drift` only if all of these hold, so that neither many rows nor many columns give
false alarms:

- enough rows;
- a large effect. Its measure does not grow with the number of rows, and the value that is expected by chance for
  samples of these sizes is subtracted;
- significance, with the Benjamini-Hochberg correction for all variables;
- an effect above the noise floor: the largest difference between one part of the training data and the others, if the
  parts differ by more than chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_monitor import statistics
from fastmar_monitor.verdicts import (
    ALPHA,
    MIN_ROWS,
    NONE,
    NOT_COMPARED,
    NOT_ENOUGH_DATA,
    VERDICTS,
    Effect,
    too_few,
    worst,
)
from fastmar_runtime.profiles.building import chunk_pairs
from fastmar_runtime.profiles.profile import Profile, Reference
from fastmar_runtime.profiles.variables import CONFIDENCE, FIELD, MISSING, NUMBER, PREDICTION, UNSEEN, Counts, Variable

NOTHING_HIDDEN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class VariableComparison:
    """The comparison of one variable.

    Attributes:
        variable: what was compared.
        reference, live: counts of its slots.
        verdict: one of `VERDICTS`.
        effect: measured change; None without values.
        excess: `effect` without the part that is expected by chance.
        floor: the excess among parts of the reference.
        ks: Kolmogorov-Smirnov statistic of the binned numbers; None for categories.
        p_value: the p-value of the test of homogeneity.
        adjusted: `p_value` with the Benjamini-Hochberg correction.
        effect_on_prediction: the change of the mean answer if each slot has its new share and its old mean answer:
            for labels, the change of the probability that changes most; for numbers, in standard deviations. None if
            it is unknown.
        shift: change of the mean in standard deviations, from `compare_known`.
        reason: why there is no verdict, if there is none.
    """

    variable: Variable
    reference: Counts
    live: Counts
    verdict: str
    effect: Effect | None = None
    excess: Effect | None = None
    floor: Effect | None = None
    ks: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    effect_on_prediction: float | None = None
    shift: float | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        shares = {name: _share_of(self, name) for name in (MISSING, UNSEEN)}
        return {
            "field": self.variable.name,
            "source": self.variable.source,
            "kind": self.variable.kind,
            "verdict": self.verdict,
            "reason": self.reason,
            "psi": _rounded(self.effect.psi if self.effect else None),
            "js": _rounded(self.effect.js if self.effect else None),
            "ks": _rounded(self.ks),
            "p_value": self.p_value,
            "p_value_adjusted": self.adjusted,
            "psi_beyond_chance": _rounded(self.excess.psi if self.excess else None),
            "psi_of_reference_parts": _rounded(self.floor.psi if self.floor else None),
            "effect_on_prediction": _rounded(self.effect_on_prediction),
            "shift": _rounded(self.shift),
            **{name: share and {"reference": share[0], "live": share[1]} for name, share in shares.items()},
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a live profile with a reference.

    Attributes:
        verdict: the worst one of all variables.
        rows: the number of records in the live profile.
        reference_rows: the number of records in the reference profile; 0 if the archive has none, see `compare_known`.
        fields: columns, or measures of pictures and texts; the worst verdict and the largest effect first.
        answers: the prediction and its confidence, as far as the model has them.
    """

    verdict: str
    rows: int
    reference_rows: int
    fields: tuple[VariableComparison, ...]
    answers: tuple[VariableComparison, ...] = field(default=())

    def of_answers(self, source: str) -> VariableComparison | None:
        """The comparison of `PREDICTION` or `CONFIDENCE`; None if the model has none."""
        return next((each for each in self.answers if each.variable.source == source), None)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        prediction, confidence = self.of_answers(PREDICTION), self.of_answers(CONFIDENCE)
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "fields": [each.as_dict() for each in self.fields],
            "prediction": prediction.as_dict() if prediction else None,
            "confidence": confidence.as_dict() if confidence else None,
        }


def hidden_reason(variable: Variable, hidden: Mapping[str, str]) -> str | None:
    """Why a variable has no values; None if it has some. `hidden` has the reasons by field."""
    return hidden.get(variable.name) if variable.source == FIELD else None


def not_compared(variable: Variable, reference: Counts, live: Counts, reason: str) -> VariableComparison:
    """The comparison of a variable without values in the live data."""
    return VariableComparison(variable, reference, live, NOT_COMPARED, reason=reason)


class Comparer:
    """Compares profiles with one reference.

    Args:
        reference: the reference.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        pairs = list(chunk_pairs(reference))
        size = len(reference.profile.variables)
        self._floors = [_floor([(rest.counts[at], chunk.counts[at]) for chunk, rest in pairs]) for at in range(size)]

    def compare(self, live: Profile, hidden: Mapping[str, str] = NOTHING_HIDDEN) -> Comparison:
        """Compare a profile, which must have the variables of the reference.

        Args:
            live: the profile.
            hidden: fields without values in it, and why.
        """
        reference = self.reference.profile
        if live.variables != reference.variables:
            raise ValueError("profiles with different variables can't be compared")
        sizes = [(int(r.sum()), int(v.sum())) for r, v in zip(reference.counts, live.counts, strict=True)]
        enough = [min(reference.rows, live.rows) >= MIN_ROWS and min(size) >= MIN_ROWS for size in sizes]
        tables = [
            statistics.table(r, v) if all(size) else None
            for r, v, size in zip(reference.counts, live.counts, sizes, strict=True)
        ]
        p_values = [table.p_value() if table else None for table in tables]
        tested = [at for at, has in enumerate(enough) if has]
        adjusted = dict(zip(tested, statistics.adjust([p_values[at] or 0.0 for at in tested]), strict=True))
        found = []
        for at, variable in enumerate(reference.variables):
            if (why := hidden_reason(variable, hidden)) is not None:
                found.append(not_compared(variable, reference.counts[at], live.counts[at], why))
                continue
            table, floor = tables[at], self._floors[at]
            effect, excess = (_effect(table, 0.0), _effect(table, table.chance)) if table else (None, None)
            verdict = NOT_ENOUGH_DATA
            reason = None if enough[at] else too_few(min(live.rows, sizes[at][1]), min(reference.rows, sizes[at][0]))
            if excess is not None and at in adjusted:
                is_real = adjusted[at] < ALPHA and excess.psi > floor.psi and excess.js > floor.js
                verdict = excess.level() if is_real else NONE
            found.append(
                VariableComparison(
                    variable,
                    reference.counts[at],
                    live.counts[at],
                    verdict,
                    effect,
                    excess,
                    floor,
                    _ks(variable, reference.counts[at], live.counts[at]),
                    p_values[at],
                    adjusted.get(at),
                    self._effect_on_prediction(at, live.counts[at]),
                    reason=reason,
                )
            )
        answers = tuple(each for each in found if each.variable.source in (PREDICTION, CONFIDENCE))
        fields = sorted((each for each in found if each not in answers), key=_rank, reverse=True)
        verdict = worst(each.verdict for each in found)
        return Comparison(verdict, live.rows, reference.rows, tuple(fields), answers)

    def _effect_on_prediction(self, at: int, live: Counts) -> float | None:
        """See `VariableComparison`. Slots without answers in the reference count like the mean of the others."""
        counts = self.reference.profile.counts[at]
        if not self.reference.means or not counts.sum() or not live.sum():
            return None
        means: npt.NDArray[np.float64] = self.reference.means[at]
        known = ~np.isnan(means).any(axis=1) if means.size else np.zeros(len(means), np.bool_)
        if not known.any():
            return None
        shares = counts / counts.sum()
        centre = np.average(means[known], axis=0, weights=shares[known]) if shares[known].sum() else 0.0
        change = live / live.sum() - shares
        effects = change[known] @ (means[known] - centre)
        if self.reference.profile.variables[_prediction_of(self.reference)].kind == NUMBER:
            effects = effects / np.maximum(self.reference.deviations, 1e-12)
        return float(np.abs(effects).max())


def _prediction_of(reference: Reference) -> int:
    return next(at for at, each in enumerate(reference.profile.variables) if each.source == PREDICTION)


def _effect(table: statistics.Table, chance: float) -> Effect:
    """The effect without a PSI of `chance`; for small changes, the divergence in nats is an eighth of PSI."""
    bits = table.divergence() - chance / 8 / np.log(2)
    return Effect(max(0.0, table.psi() - chance), sqrt(max(0.0, bits)))


def _floor(pairs: Sequence[tuple[Counts, Counts]]) -> Effect:
    """The noise floor of a variable, from the counts of the other parts and of each part of the reference."""
    pairs = [pair for pair in pairs if pair[0].sum() and pair[1].sum()]
    if len(pairs) < 2 or not statistics.differ(np.stack([chunk for _, chunk in pairs]), ALPHA):
        return Effect(0.0, 0.0)
    tables = [statistics.table(rest, chunk) for rest, chunk in pairs]
    effects = [_effect(table, table.chance) for table in tables]
    return Effect(max(each.psi for each in effects), max(each.js for each in effects))


def _ks(variable: Variable, reference: Counts, live: Counts) -> float | None:
    """Of the numbers, without missing ones."""
    return statistics.largest_gap(reference[1:], live[1:]) if variable.kind == NUMBER else None


def _share_of(comparison: VariableComparison, name: str) -> tuple[float, float] | None:
    """The shares of a slot in the reference and in the live data; None if they are unknown."""
    labels = comparison.variable.labels()[:3]  # a category may have the name of a slot
    if name not in labels:
        return None
    at = labels.index(name)
    reference, live = comparison.reference, comparison.live
    if name == MISSING and not reference.sum():
        return None
    return round(float(reference[at] / max(1, reference.sum())), 6), round(float(live[at] / max(1, live.sum())), 6)


def _rank(each: VariableComparison) -> tuple[int, float, float]:
    psi = each.excess.psi if each.excess else 0.0
    return VERDICTS.index(each.verdict), psi, each.effect_on_prediction or 0.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
