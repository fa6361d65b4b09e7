"""Records that request an explanation of their answer, made from the model's schema."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmar_client.encoding import JSON, Picture, part
from fastmar_client.errors import RecordRefused
from fastmar_client.frames import check_one

EXPLAIN = "explain"


def explain_record(schema: Mapping[str, Any], record: Mapping[str, Any] | Picture) -> dict[str, Any]:
    """`record`, a dict or a picture, with the request to explain its answer.

    Raises:
        RecordRefused: the model of this schema does not explain its answers, code ``not_explained``; or the picture
            can't be read.
        TypeError: `record` is a DataFrame or a Series.
    """
    if EXPLAIN not in (schema.get("explainer") or {}):
        name = str(schema.get("name"))
        raise RecordRefused(
            f"{name} does not explain its answers.",
            fix="use a tabular or picture model that answers with one label or one number, exported by this version "
            "of fastmar.",
            code="not_explained",
            model=name,
        )
    check_one(record)
    if isinstance(record, Mapping):
        return {**record, EXPLAIN: True}
    picture = part(Path(record) if isinstance(record, str) else record)
    if picture.media_type == JSON:
        raise RecordRefused(
            "the record is neither a dict nor a picture.",
            fix="pass a dict of column to value, or the path or the bytes of a picture.",
            code="not_an_object",
            model=str(schema.get("name")),
        )
    name_of_file = {"name": picture.name} if picture.name else {}
    return {"image": {"b64": base64.b64encode(picture.data).decode()}, **name_of_file, EXPLAIN: True}
