"""Counts the values of a model's records and answers, in a worker or for the reference."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from fastmar_runtime.bodies.request import Request
from fastmar_runtime.observer import Observer
from fastmar_runtime.preprocess import Columns
from fastmar_runtime.profiles.profile import Profile
from fastmar_runtime.profiles.variables import CONFIDENCE, FIELD, MEASURE, PREDICTION, SlotCounter, Variable

PENDING = 512  # records whose values wait to be counted: many at once are faster, while they fit the cache


class Counter(Observer):
    """Counts records. Their values are kept until `PENDING` of them are counted together, or until `take`.

    Args:
        variables: the variables of the profile.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = tuple(variables)
        self._answers = [variable for variable in variables if variable.source in (PREDICTION, CONFIDENCE)]
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._rows = 0
        self._counters = {(each.source, each.name): SlotCounter(each) for each in self._variables}
        self._by_column = {name: each for (source, name), each in self._counters.items() if source in (FIELD, MEASURE)}
        self._batches: list[Mapping[str, Sequence[Any]]] = []
        self._answered: list[dict[str, Any]] = []

    def computed(
        self,
        requests: Sequence[Request],  # noqa: ARG002 - for other observers
        answers: Sequence[Sequence[dict[str, Any]]],
        groups: Sequence[tuple[Columns, Sequence[int]]],
    ) -> None:
        """See `Observer`."""
        for columns, rows in groups:
            self.prepared(columns, rows)
        self.answered([*chain.from_iterable(answers)])

    def prepared(self, columns: Columns, rows: Sequence[int] = ()) -> None:  # noqa: ARG002 - see `Predictor.predict`
        """Add the columns of a group of records."""
        with self._lock:
            self._batches.append(columns)

    def answered(self, answers: Sequence[dict[str, Any]]) -> None:
        """Add the answers to records, after their columns."""
        with self._lock:
            self._answered += answers
            if len(self._answered) >= PENDING:
                self._count()

    def take(self) -> Profile:
        """The profile of the records since the last call."""
        with self._lock:
            self._count()
            counts = tuple(counter.counts for counter in self._counters.values())
            profile = Profile(self._variables, self._rows, counts)
            self._reset()
        return profile

    def _count(self) -> None:
        """Count the values that wait."""
        for name, values in _columns(self._batches):
            if (counter := self._by_column.get(name)) is not None:
                counter.add(values)
        answers = [answer for answer in self._answered if "prediction" in answer]
        for variable in self._answers:
            self._counters[variable.source, variable.name].add(outcomes(answers, variable.source))
        self._rows += len(answers)
        self._batches = []
        self._answered = []


def _columns(batches: Sequence[Mapping[str, Sequence[Any]]]) -> Iterator[tuple[str, list[Any]]]:
    """The columns of all batches. A preprocessor gives all batches the same columns, in the same order."""
    if batches:
        for name, parts in zip(batches[0], zip(*(batch.values() for batch in batches), strict=True), strict=True):
            yield name, list(chain.from_iterable(parts))


def outcomes(answers: Sequence[Mapping[str, Any]], source: str) -> list[Any]:
    """The values of a variable of the answers. A prediction of several labels has a value for each."""
    if source == CONFIDENCE:
        return [max(answer["probabilities"].values()) for answer in answers]
    found: list[Any] = []
    for answer in answers:
        prediction = answer["prediction"]
        if isinstance(prediction, list):
            found += prediction
        else:
            found.append(prediction)
    return found
