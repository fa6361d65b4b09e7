"""Records that request a list of items from a collaborative filtering model, made from the model's schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastmar_client.errors import RecordRefused

RECOMMEND, SIMILAR, SEEN = "recommend", "similar", "seen"


def recommend_record(schema: Mapping[str, Any], user: Any, k: int, seen: Iterable[Any]) -> dict[str, Any]:
    """The record that requests the `k` best items for `user`, without the items in `seen`.

    Raises:
        RecordRefused: the model of this schema does not rank items; code ``not_a_recommender``.
    """
    return {_recommender(schema, RECOMMEND)["user"]: user, RECOMMEND: k, SEEN: list(seen)}


def similar_record(schema: Mapping[str, Any], item: Any, k: int) -> dict[str, Any]:
    """The record that requests the `k` items that are most similar to `item`.

    Raises:
        RecordRefused: the model of this schema does not compare items; code ``not_a_recommender``.
    """
    return {_recommender(schema, SIMILAR)["item"]: item, SIMILAR: k}


def _recommender(schema: Mapping[str, Any], option: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("recommender") or {}
    if option not in found:
        name = schema.get("name")
        what = "compare" if found else "rank"
        raise RecordRefused(
            f"{name} does not {what} items.",
            fix="use a collaborative filtering model that this version of fastmar exported from a collab_learner.",
            code="not_a_recommender",
            model=str(name),
        )
    return found
