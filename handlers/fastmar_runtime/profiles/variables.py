"""Variables of a profile, and the slots in which their values are counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.record_schemas import json_value
from fastmar_runtime.validation import check, invalid, unreadable

NUMBER, CATEGORY = "number", "category"
FIELD, MEASURE, PREDICTION, CONFIDENCE = "field", "measure", "prediction", "confidence"
SOURCES = (FIELD, MEASURE, PREDICTION, CONFIDENCE)
"""What a variable describes: a column of the records, a measure of pictures or texts, or a part of the answers."""

MISSING, BELOW, ABOVE, UNSEEN, OTHER = "missing", "below", "above", "unseen", "other"
MAX_SLOTS = 512
MAX_VARIABLES = 10_000
BINS = 10  # of a number, with equal counts in the reference
MAX_DISTINCT = 20  # numbers with at most so many distinct values have a bin for each
MAX_CATEGORIES = 100  # of a variable; the less frequent ones are counted together
RARE = 5  # categories with a lower count in the reference are counted together, so that no single record shows

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable.

    Attributes:
        name: a name that is unique within its source.
        source: one of `SOURCES`.
        kind: `NUMBER` or `CATEGORY`.
        edges: the increasing bounds of the bins of a column of numbers; a bin contains its lower bound.
        categories: the categories that have a slot of their own.
        known: the known categories: those without a slot of their own are counted as `OTHER`, unknown values as
            `UNSEEN`. The spec has them, so a profile does not repeat them.
    """

    name: str
    source: str
    kind: str
    edges: tuple[float, ...] = ()
    categories: tuple[Any, ...] = ()
    known: tuple[Any, ...] = ()

    def labels(self) -> list[str]:
        """Names of the slots for people, in their order; the first one is for missing values."""
        if self.kind == NUMBER:
            return self._named([_bin_name(*bounds) for bounds in pairwise(self.edges)])
        return self._named([*map(str, self.categories)])

    def keys(self) -> list[str]:
        """Names of the slots in metrics, in their order: they are short, and don't contain a category."""
        return self._named([*map(str, range(len(self.edges) - 1 if self.kind == NUMBER else len(self.categories)))])

    def _named(self, names: list[str]) -> list[str]:
        return [MISSING, BELOW, *names, ABOVE] if self.kind == NUMBER else [MISSING, UNSEEN, OTHER, *names]

    def count(self, values: Sequence[Any]) -> Counts:
        """The number of values in each slot, [slots] int64."""
        return np.bincount(self.slots(values), minlength=self.size)

    @property
    def size(self) -> int:
        """The number of slots."""
        return len(self.edges) + 2 if self.kind == NUMBER else len(self.categories) + 3

    def slots(self, values: Sequence[Any]) -> npt.NDArray[np.intp]:
        """The slot of each value, [values]."""
        if self.kind == CATEGORY:
            index = _index(self)
            return np.array([index.get(value, 1) for value in values], np.intp)
        numbers = np.array(values, np.float64)
        slots = np.searchsorted(self.edges, numbers, side="right") + 1
        slots[np.isnan(numbers)] = 0
        return slots

    def as_dict(self) -> dict[str, Any]:
        """A JSON object, which `from_dict` reads."""
        data: dict[str, Any] = {"name": self.name, "source": self.source, "kind": self.kind}
        if self.kind == NUMBER:
            return {**data, "edges": list(self.edges)}
        return {**data, "categories": [*map(json_value, self.categories)]}


class SlotCounter:
    """Counts values of one variable. Faster than `Variable.count` for many batches."""

    def __init__(self, variable: Variable) -> None:
        self._variable = variable
        self._index = _index(variable)
        self.counts: Counts = np.zeros(variable.size, np.int64)

    def add(self, values: Sequence[Any]) -> None:
        """Count values; for a category None is missing."""
        if self._variable.kind == NUMBER:
            self.counts += self._variable.count(values)
            return
        for value, count in Counter(values).items():
            self.counts[self._index.get(value, 1)] += count


def _bin_name(low: float, high: float) -> str:
    return f"{low:.6g}" if high == np.nextafter(low, np.inf) else f"{low:.6g} to {high:.6g}"


def _index(variable: Variable) -> dict[Any, int]:
    """The slot of each known category. 1, 1.0 and True have the same slot, as in a vocabulary."""
    slots = {category: at for at, category in enumerate(variable.categories, 3)}
    return {**dict.fromkeys(variable.known, 2), **slots, None: 0}


def number_variable(name: str, source: str, values: Sequence[Any]) -> Variable | None:
    """A variable with bins for `values`; None if there is no number among them."""
    numbers = np.array(values, np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    edges = np.unique(numbers)
    if len(edges) > MAX_DISTINCT:
        edges = _quantiles(numbers)
    last = np.nextafter(numbers.max(), np.inf)
    return Variable(name, source, NUMBER, edges=(*edges[edges < last].tolist(), float(last)))


def _quantiles(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lower bounds of bins with equal counts. A value with the count of a bin, such as many zeros, has its own bin."""
    bounds, times = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)), return_counts=True)
    frequent = bounds[times > 1]
    rest = numbers[~np.isin(numbers, frequent)]
    bins = max(2, round(BINS * len(rest) / len(numbers)))
    others = np.quantile(rest, np.linspace(0, 1, bins + 1)[:-1])
    return np.unique(np.concatenate([frequent, np.nextafter(frequent, np.inf), others]))


def category_variable(name: str, source: str, values: Sequence[Any], vocabulary: Sequence[Any]) -> Variable:
    """A variable with slots for the categories of `vocabulary` that are frequent in `values`."""
    counted = Counter(value for value in values if value is not None)
    known = dict.fromkeys(vocabulary)
    frequent = {value for value, count in counted.most_common(MAX_CATEGORIES) if count >= RARE and value in known}
    categories = tuple(value for value in known if value in frequent)
    return Variable(name, source, CATEGORY, categories=categories, known=tuple(known))


def read_variables(data: Any, path: str, vocabularies: Mapping[tuple[str, str], Sequence[Any]]) -> tuple[Variable, ...]:
    """The variables that `Variable.as_dict` wrote.

    Args:
        data: their JSON.
        path: their place, for messages.
        vocabularies: the known values of categories, by source and name.

    Raises:
        BundleUnreadable: one is invalid.
    """
    listed = check(list[dict[str, Any]], data, path)
    if len(listed) > MAX_VARIABLES:
        raise unreadable(f"{path} has {len(listed)} entries; the maximum is {MAX_VARIABLES}")
    found = tuple(_read_variable(each, f"{path}[{at}]", vocabularies) for at, each in enumerate(listed))
    keys = [(variable.source, variable.name) for variable in found]
    if len(set(keys)) != len(keys):
        raise unreadable(f"{path} has a repeated variable")
    return found


def _read_variable(
    data: Mapping[str, Any], path: str, vocabularies: Mapping[tuple[str, str], Sequence[Any]]
) -> Variable:
    name, source, kind = (check(str, data.get(key), f"{path}.{key}") for key in ("name", "source", "kind"))
    if source not in SOURCES:
        raise invalid(f"{path}.source", f"one of {', '.join(SOURCES)}", source)
    if kind == NUMBER:
        edges = check(tuple[float, ...], data.get("edges"), f"{path}.edges")
        increasing = all(math.isfinite(edge) for edge in edges) and all(low < high for low, high in pairwise(edges))
        if not 2 <= len(edges) < MAX_SLOTS or not increasing:
            raise invalid(f"{path}.edges", "two or more increasing numbers", list(edges)[:5])
        return Variable(name, source, NUMBER, edges=edges)
    if kind != CATEGORY:
        raise invalid(f"{path}.kind", f"{NUMBER} or {CATEGORY}", kind)
    categories = tuple(check(list[Any], data.get("categories"), f"{path}.categories"))
    if any(isinstance(value, list | dict) for value in categories):
        raise invalid(f"{path}.categories", "a list of categories", list(categories)[:5])
    if len(categories) > MAX_SLOTS:
        raise unreadable(f"{path} has too many categories")
    known = tuple(vocabularies.get((source, name), ()))
    return Variable(name, source, CATEGORY, categories=categories, known=known)
