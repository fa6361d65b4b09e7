"""Builds the reference profile from the records that a model was trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.members import PROFILE
from fastmar_contract.values import CATEGORY as CATEGORY_FIELD
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.counting import outcomes
from fastmar_runtime.profiles.profile import Profile, Reference, read_reference
from fastmar_runtime.profiles.variables import (
    CONFIDENCE,
    FIELD,
    MEASURE,
    PREDICTION,
    Variable,
    category_variable,
    number_variable,
)
from fastmar_runtime.spec import Spec

CHUNKS = 20  # parts of the rows
MIN_CHUNK = 100  # rows of a part
MAX_OUTCOMES = 20  # numbers of an answer

Values = dict[tuple[str, str], list[Any]]


@dataclass(slots=True)
class _Observed:
    """Values of the records that were answered, in their order, and the answers."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def add(self, columns: Mapping[str, Sequence[Any]], answers: Sequence[dict[str, Any]]) -> None:
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)
        self.answers += answers


def build_reference(
    predictor: Predictor, batches: Iterable[Sequence[Any]], on_progress: Callable[[int], None] = lambda _: None
) -> Reference | None:
    """The reference profile of records; None if none of them is answered.

    Args:
        predictor: the model.
        batches: the records, in the order in which they arose; a `RecordError` for a record that can't be read.
        on_progress: called with the number of records that are done.
    """
    observed = _Observed()
    done = 0
    for records in batches:
        _observe(predictor, records, observed)
        done += len(records)
        on_progress(done)
    if not observed.answers:
        return None
    variables, values = _variables(predictor.spec, observed)
    rows = len(observed.answers)
    names, numbers = _outcomes(predictor.spec, observed.answers)
    chunks = min(CHUNKS, rows // MIN_CHUNK)
    bounds = np.linspace(0, rows, chunks + 1).astype(int).tolist() if chunks > 1 else []
    return Reference(
        _profile(variables, values, observed, 0, rows),
        tuple(_profile(variables, values, observed, *pair) for pair in pairwise(bounds)),
        names,
        tuple(_means(variable, values, numbers) for variable in variables),
        tuple(round(value, 6) for value in numbers.std(axis=0).tolist()),
    )


def _observe(predictor: Predictor, records: Sequence[Any], observed: _Observed) -> None:
    """Predict records, and keep their values and answers in the same order.

    If they went through the graph in several groups, the order of the values is unknown, so each is predicted alone.
    """
    groups: list[Mapping[str, Sequence[Any]]] = []
    found = predictor.predict(records, lambda columns, _: groups.append(columns))
    answers = [answer for answer in found if "prediction" in answer]
    if len(groups) <= 1:
        observed.add(groups[0] if groups else {}, answers)
        return
    for record in records:
        _observe(predictor, [record], observed)


def _variables(spec: Spec, observed: _Observed) -> tuple[tuple[Variable, ...], Values]:
    """The variables, and the values of those that have one for each record."""
    found: list[Variable | None] = []
    values: Values = {}
    fields = {each.name: each for each in spec.fields}
    for name, column in observed.columns.items():
        source = FIELD if name in fields else MEASURE
        values[source, name] = column
        if source == FIELD and fields[name].kind == CATEGORY_FIELD:
            found.append(category_variable(name, source, column, fields[name].categories))
        else:
            found.append(number_variable(name, source, column))
    target = spec.targets[0] if len(spec.targets) == 1 else PREDICTION
    for source, name in ((PREDICTION, target), (CONFIDENCE, CONFIDENCE)):
        found.append(_of_answers(spec, source, name, observed.answers))
    return tuple(variable for variable in found if variable is not None), values


def _of_answers(spec: Spec, source: str, name: str, answers: Sequence[Mapping[str, Any]]) -> Variable | None:
    """A variable of the answers; None if they have no such part, as for masks."""
    first = answers[0]
    if source == CONFIDENCE:
        is_distribution = isinstance(first.get("prediction"), str) and isinstance(first.get("probabilities"), dict)
        return number_variable(name, source, outcomes(answers, source)) if is_distribution else None
    prediction = first["prediction"]
    listed = outcomes(answers, source)
    if isinstance(prediction, int | float):
        return number_variable(name, source, listed)
    is_label = isinstance(prediction, str) or (isinstance(prediction, list) and "probabilities" in first)
    return category_variable(name, source, listed, vocabulary(spec)) if is_label else None


def vocabulary(spec: Spec) -> list[str]:
    """The labels of a model; empty if it has none."""
    return [str(label) for label in spec.decode.get("vocab", ())]


def vocabularies(spec: Spec) -> dict[tuple[str, str], Sequence[Any]]:
    """The known values of categories, for `read_reference`."""
    target = spec.targets[0] if len(spec.targets) == 1 else PREDICTION
    return {
        **{(FIELD, each.name): each.categories for each in spec.fields},
        (PREDICTION, target): vocabulary(spec),
    }


def reference_in(files: BundleFiles, spec: Spec) -> Reference | None:
    """The reference profile in the archive of `spec`; None if it has none.

    Raises:
        BundleUnreadable: it is invalid.
    """
    if not files.contains(PROFILE):
        return None
    return read_reference(files.json(PROFILE), vocabularies(spec))


def _profile(variables: Sequence[Variable], values: Values, observed: _Observed, start: int, end: int) -> Profile:
    counts = []
    for variable in variables:
        column = values.get((variable.source, variable.name))
        if column is None:
            part: Sequence[Any] = outcomes(observed.answers[start:end], variable.source)
        else:
            part = column[start:end]
        counts.append(variable.count(part))
    return Profile(tuple(variables), end - start, tuple(counts))


def _outcomes(spec: Spec, answers: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Names of the numbers in an answer, and their values, [answers, outcomes]."""
    first = answers[0]
    probabilities = first.get("probabilities")
    if isinstance(probabilities, dict) and probabilities.keys() == set(vocabulary(spec)):
        if len(probabilities) > MAX_OUTCOMES:
            return (), np.zeros((len(answers), 0))
        return tuple(probabilities), np.array([list(answer["probabilities"].values()) for answer in answers])
    if isinstance(first["prediction"], int | float):
        return (spec.targets[0],), np.array([[answer["prediction"]] for answer in answers], np.float64)
    return (), np.zeros((len(answers), 0))


def _means(variable: Variable, values: Values, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean outcomes of each slot, [slots, outcomes]."""
    column = values.get((variable.source, variable.name))
    sums = np.full((variable.size, numbers.shape[1]), np.nan)
    if column is None:
        return sums
    slots = variable.slots(column)
    counts = np.bincount(slots, minlength=variable.size)
    with np.errstate(invalid="ignore"):
        for at in range(numbers.shape[1]):
            sums[:, at] = np.bincount(slots, numbers[:, at], variable.size) / counts
    return sums


def chunk_pairs(reference: Reference) -> Iterator[tuple[Profile, Profile]]:
    """Each chunk of the reference, with the profile of all others."""
    for chunk in reference.chunks:
        rest = tuple(whole - part for whole, part in zip(reference.profile.counts, chunk.counts, strict=True))
        yield chunk, Profile(reference.profile.variables, reference.profile.rows - chunk.rows, rest)
