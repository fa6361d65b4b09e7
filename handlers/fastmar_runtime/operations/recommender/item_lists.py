"""Lists of items from collaborative filtering models: the best items for a user, and items like another one.

A record with an option requests a list. ``{"user": 7, "recommend": 10, "seen": ["Alien (1979)"]}`` requests the 10
items with the highest predictions for the user, without those in ``seen``. ``{"title": "Alien (1979)", "similar": 10}``
requests the 10 items whose factors have the highest cosine similarity to those of the item. The columns of user and
item have the names of the training table. A record with both columns is a pair of user and item, whatever else it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.display import json_safe, short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY
from fastmar_runtime.activations import all_finite
from fastmar_runtime.operations import Answer, Model, Operations
from fastmar_runtime.operators import float_initializer
from fastmar_runtime.ranking import largest
from fastmar_runtime.record_schemas import json_value
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Recommender, Spec
from fastmar_runtime.validation import invalid, unreadable

RECOMMEND, SIMILAR, SEEN = "recommend", "similar", "seen"  # options of a record
MAX_K = 1000
"""Maximum items of a list."""

_SLICE = 2048  # pairs that go through the graph together: more leave the caches of the processor
_PAIRS_A_RECORD = 10  # pairs of user and item that take about as long as one record, for the slower networks
_MAX_WARNINGS = 20  # of one list, which may name any number of unknown items
_EPSILON = 1e-8  # the smallest norm, as in torch's CosineSimilarity

Numbers = npt.NDArray[np.float32]


def options(recommender: Recommender) -> tuple[str, ...]:
    """The options that request a list from the model; a column of the same name takes precedence."""
    known = (RECOMMEND,) if recommender.factors is None else (RECOMMEND, SIMILAR)
    return tuple(name for name in known if name not in (recommender.user, recommender.item))


def check_recommender(spec: Spec, recommender: Recommender) -> None:
    """Raise `BundleUnreadable` if the recommender does not match the spec's fields, inputs and answers."""
    path = "spec.json: recommender"
    names = {recommender.user, recommender.item}
    fields = {field.name: field for field in spec.fields}
    for part, name in (("user", recommender.user), ("item", recommender.item)):
        if name not in fields or fields[name].kind != CATEGORY:
            raise invalid(f"{path}.{part}", "the name of a field of categories", name)
    if not fields[recommender.item].categories:
        raise unreadable(f"{path}: the field of items has no categories")
    if fields.keys() != names or set(_codes_order(spec)) != names:
        raise unreadable(f"{path} must name both columns that the network reads")
    if spec.decode.get("size") != 1:
        raise unreadable(f"{path}: the model does not answer with one number, so that it can't rank items")


def _codes_order(spec: Spec) -> list[str]:
    """The columns of the network's input, in their order."""
    return next((step["cats"] for step in spec.steps if step["step"] == "read_tab_batch" and not step["conts"]), [])


@dataclass(frozen=True, slots=True)
class _Columns:
    """Numbers of the columns of user and item in the network's input."""

    user: int
    item: int


class ItemLists(Operations):
    """Answers records that request a list."""

    def __init__(self, model: Model, recommender: Recommender) -> None:
        spec = model.spec
        self._user, self._item = recommender.user, recommender.item
        self._items = [json_value(item) for f in spec.fields if f.name == self._item for item in f.categories]
        order = _codes_order(spec)
        self._columns = _Columns(order.index(self._user), order.index(self._item))
        self._input = spec.inputs[0].name
        self._model = model
        self._directions = self._read_directions(model.graph, recommender.factors)
        self._options = options(recommender)

    def _read_directions(self, graph: bytes, factors: str | None) -> Numbers | None:
        """The factors of each item, scaled to the length 1: [items, factors]."""
        if factors is None:
            return None
        weights = float_initializer(graph, factors)
        if weights is None or weights.ndim != 2 or len(weights) != 1 + len(self._items) or not all_finite(weights):
            raise invalid(
                "spec.json: recommender.factors", "the name of the weights of the items in model.onnx", factors
            )
        norms = np.linalg.norm(weights[1:], axis=1, keepdims=True)
        directions: Numbers = weights[1:] / np.maximum(norms, np.float32(_EPSILON))
        return directions

    def option(self, record: Any) -> str | None:
        """See `Operations`."""
        if not isinstance(record, dict) or (self._user in record and self._item in record):
            return None
        return next((option for option in self._options if option in record), None)

    def size(self, record: dict[str, Any]) -> int:
        """See `Operations`."""
        k, seen = (record.get(name) for name in (RECOMMEND, SEEN))
        entries = min(k, MAX_K) if type(k) is int and k > 0 else MAX_K
        return entries + len(self._items) // _PAIRS_A_RECORD + (len(seen) if isinstance(seen, list) else 0)

    def answer(self, record: dict[str, Any]) -> Answer:
        """The list that `record` requests.

        Returns:
            ``{"user", "recommendations": [{"item", "prediction"}], "warnings"}`` or
            ``{"item", "similar": [{"item", "similarity"}], "warnings"}``, the best item first; of equal items, the one
            that is first among the categories.

        Raises:
            RecordError: an option is invalid, the user or item is missing, or the item is unknown.
        """
        return self._recommend(record) if self.option(record) == RECOMMEND else self._similar(record)

    def _recommend(self, record: dict[str, Any]) -> Answer:
        k = _read_k(record, RECOMMEND)
        seen = record.get(SEEN)
        if not isinstance(seen, list | None):
            raise RecordError(
                "seen_not_a_list",
                f"{SEEN!r} must be a list of items; got {short_repr(seen)}.",
                fix=f'send the items to leave out, as in {{"{SEEN}": [ITEM, ...]}}, or omit {SEEN!r}.',
                field=SEEN,
            )
        rest = {name: value for name, value in record.items() if name not in (RECOMMEND, SEEN)}
        rows = [{**rest, self._item: self._items[0]}, *({self._user: None, self._item: item} for item in seen or ())]
        codes, report = self._codes(rows)
        output = self._output(codes[0, self._columns.user])
        is_left = np.ones(len(self._items), dtype=bool)
        known = codes[1:, self._columns.item]
        is_left[known[known > 0] - 1] = False
        left = np.flatnonzero(is_left)
        best = left[largest(output[left], k)]
        predictions = self._model.decode(output[best].reshape(-1, 1)) if len(best) else []
        listed = [
            {"item": self._items[place], **answer} for place, answer in zip(best.tolist(), predictions, strict=True)
        ]
        return {"user": json_safe(record[self._user]), "recommendations": listed, "warnings": _warnings(report)}

    def _similar(self, record: dict[str, Any]) -> Answer:
        assert self._directions is not None  # noqa: S101 - for the type checker: else SIMILAR is no option
        k = _read_k(record, SIMILAR)
        rest = {name: value for name, value in record.items() if name != SIMILAR}
        codes, report = self._codes([{**rest, self._user: None}])
        place = int(codes[0, self._columns.item]) - 1
        if place < 0:
            found = report.warnings[0][0]["message"] if report.warnings[0] else "null is no item."
            raise RecordError(
                "unknown_item",
                f"{self._item!r} has no factors to compare: {found}",
                fix="send one of the items that the model was trained with.",
                field=self._item,
            )
        similarities = self._directions @ self._directions[place]
        others = np.delete(np.arange(len(self._items)), place)
        best = others[largest(similarities[others], k)].tolist()
        listed = [{"item": self._items[other], "similarity": float(similarities[other])} for other in best]
        return {"item": json_safe(record[self._item]), "similar": listed, "warnings": _warnings(report)}

    def _codes(self, rows: list[dict[str, Any]]) -> tuple[npt.NDArray[np.int64], Report]:
        """The network's input for `rows`, int64 [rows, 2]; raises the error of a refused row."""
        inputs, report = self._model.preprocess(rows)
        for error in report.errors.values():
            raise error
        return inputs[self._input], report

    def _output(self, user: np.int64) -> Numbers:
        """The graph's output for the user with each item, before the activation, which keeps the order."""
        pairs = np.empty((len(self._items), 2), dtype=np.int64)
        pairs[:, self._columns.user] = user
        pairs[:, self._columns.item] = np.arange(1, len(self._items) + 1)
        output = np.concatenate([self._model.run({self._input: part}).reshape(-1) for part in _slices(pairs)])
        if not all_finite(output):
            raise RecordError(
                "not_finite",
                "the network's output for some items is not a finite number.",
                fix="train again with a smaller learning rate, and export that learner.",
            )
        return output


def _slices(pairs: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(pairs), _SLICE):
        yield pairs[start : start + _SLICE]


def _read_k(record: dict[str, Any], option: str) -> int:
    k = record[option]
    if type(k) is not int or not 1 <= k <= MAX_K:
        raise RecordError(
            "k_out_of_range",
            f"{option!r} must be a number of items from 1 to {MAX_K:,}; got {short_repr(k)}.",
            fix=f"send a whole number from 1 to {MAX_K:,}.",
            field=option,
        )
    return k


def _warnings(report: Report) -> list[dict[str, Any]]:
    return [warning for warnings in report.warnings for warning in warnings][:_MAX_WARNINGS]
