"""Records that request an explanation of their answer, made from the model's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmar_client.errors import RecordRefused

EXPLAIN = "explain"


def explain_record(schema: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """`record`, with the request to explain its answer.

    Raises:
        RecordRefused: the model of this schema does not explain its answers; code ``not_explained``.
    """
    if EXPLAIN not in (schema.get("explainer") or {}):
        name = str(schema.get("name"))
        raise RecordRefused(
            f"{name} does not explain its answers.",
            fix="use a model of tables that answers with one label or one number, exported by this version of fastmar.",
            code="not_explained",
            model=name,
        )
    return {**record, EXPLAIN: True}
