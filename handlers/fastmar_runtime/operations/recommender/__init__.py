"""Operations of collaborative filtering models: see `item_lists`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fastmar_runtime.operations import Kind, Model, Operations
from fastmar_runtime.operations.recommender.item_lists import RECOMMEND, SIMILAR, ItemLists, check_recommender, options
from fastmar_runtime.operations.recommender.schemas import LISTS, describe_lists, list_components, list_example
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Recommender, Spec


class RecommenderKind(Kind):
    """See `Kind`."""

    name = "recommender"
    summaries: ClassVar[Mapping[str, str]] = {
        RECOMMEND: "Recommend items to a user",
        SIMILAR: "List the items that are similar to an item",
    }
    components = LISTS

    def options(self, spec: Spec) -> tuple[str, ...]:
        """See `Kind`."""
        return options(_recommender(spec))

    def check(self, spec: Spec) -> None:
        """See `Kind`."""
        check_recommender(spec, _recommender(spec))

    def load(self, model: Model) -> Operations:
        """See `Kind`."""
        return ItemLists(model, _recommender(model.spec))

    def describe(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return describe_lists(spec, _recommender(spec))

    def schemas(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return list_components(spec, _recommender(spec))

    def example(self, spec: Spec, option: str) -> JSON:
        """See `Kind`."""
        return list_example(spec, option)


def _recommender(spec: Spec) -> Recommender:
    assert spec.recommender is not None  # noqa: S101 - for the type checker: a model with this kind has one
    return spec.recommender


KIND = RecommenderKind()
