"""fastai's Categorify: a category becomes its code in the vocabulary, from 1; unknown values and nulls become 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_contract.categories import Categories
from fastmar_runtime.report import Report
from fastmar_runtime.spec import TIMESTAMP, check_category
from fastmar_runtime.steps import Batch
from fastmar_runtime.validation import check


@dataclass(frozen=True, slots=True)
class Categorify:
    """Attributes: `vocabularies`, by column."""

    vocabularies: dict[str, Categories]

    def __call__(self, batch: Batch, report: Report) -> Batch:
        """Replace categories by codes. Nulls get code 0 without a warning, as in fastai."""
        encoded = dict(batch)
        for name, known in self.vocabularies.items():
            values = batch[name]
            column = [known.codes.get(value, 0) for value in values]
            if 0 in column or not known.takes_bools:  # most batches have known categories only
                for row, value in enumerate(values):
                    if value is None:
                        column[row] = 0
                    elif not column[row] or (type(value) is bool and not known.takes_bools):
                        column[row] = _interpret(name, value, known, row, report)
            encoded[name] = column
        return encoded


def _interpret(name: str, value: Any, known: Categories, row: int, report: Report) -> int:
    """The code of a value that matches no category exactly, which gets a warning."""
    found = known.interpret(value, may_search=report.may_search)
    if found.warning is not None:
        report.warn(row, field=name, code=found.warning, value=value, message=found.message)
    return found.category_code


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Categorify:
    """Read ``{"vocabularies": {column: [category, ...]}}``; `path` is its place, for messages."""
    vocabularies = check(dict[str, tuple[Any, ...]], state.get("vocabularies"), f"{path}.vocabularies")
    for name, items in vocabularies.items():
        for at, item in enumerate(items):
            check_category(item, f"{path}.vocabularies[{name!r:.60}][{at}]")
    return Categorify({name: vocabulary(items) for name, items in vocabularies.items()})


def vocabulary(items: Iterable[Any]) -> Categories:
    """The categories of a column, from their form in `spec.json`."""
    return Categories(map(_category, items))


def _category(item: Any) -> Any:
    """A category from its form in `spec.json`, where dates are ``{"timestamp": ...}``."""
    return datetime.fromisoformat(item[TIMESTAMP]) if isinstance(item, dict) else item
