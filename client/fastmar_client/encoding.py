"""Records as JSON: what pandas and numpy hand out is taken as it is meant."""

from __future__ import annotations

import base64
import datetime
import json
import math
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastmar_client.errors import RecordRefused


def encode(record: Any) -> bytes:
    """A record, or a list of records, as JSON in UTF-8.

    numpy's scalars and arrays become numbers and lists, dates become ISO 8601, and NaN, which JSON doesn't have,
    becomes null: a missing value, as in pandas.

    Raises:
        RecordRefused: there is something in it that JSON can't express.
    """
    try:
        try:
            text = json.dumps(record, allow_nan=False, default=_plain, separators=(",", ":"))
        except ValueError:  # NaN: rare enough to look for it only now
            text = json.dumps(_without_nan(record), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordRefused(
            f"the record can't be written as JSON: {error}.",
            fix="send numbers, strings, booleans, None, dates, and lists and dicts of them.",
            code="not_json",
        ) from error
    return text.encode()


def image_record(image: bytes | str | os.PathLike[str]) -> dict[str, Any]:
    """The record for a picture: the bytes of its file, or its path."""
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return {"image": {"b64": base64.b64encode(data).decode("ascii")}}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time):  # a pandas Timestamp is a datetime, which is a date
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value if value is None or isinstance(value, str | int) else _without_nan(_plain(value))
