"""Converts values of a pickle to JSON types."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from fastmar_export.reader import Record

TIMESTAMP = "timestamp"  # key of a date among the categories in spec.json
_TIMESTAMP_PATHS = (
    "pandas._libs.tslibs.timestamps._unpickle_timestamp",
    "pandas._libs.tslibs.timestamps.Timestamp",
)
_UNITS_PER_SECOND = {7: 1, 8: 10**3, 9: 10**6, 10: 10**9}  # pandas' NPY_DATETIMEUNIT of a Timestamp
_NANOSECONDS = 10


class NotPlain(ValueError):
    """A value that has no JSON type."""


def plain(value: Any) -> Any:
    """`value` as None, bool, int, float, str or ``{"timestamp": ISO 8601}``.

    numpy scalars are converted with `.item()`, because fastai's lookup compares these values: np.float32(0.1) becomes
    0.10000000149011612.

    Raises:
        NotPlain: `value` has another type.
    """
    if isinstance(value, np.generic):
        value = value.item() if not isinstance(value, np.datetime64) else value.astype("datetime64[us]").item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return {TIMESTAMP: value.isoformat()}
    if isinstance(value, Record) and value.path in _TIMESTAMP_PATHS and value.args:
        return {TIMESTAMP: _timestamp(value.args).isoformat()}
    raise NotPlain(value.path if isinstance(value, Record) else type(value).__name__)


def _timestamp(args: tuple[Any, ...]) -> datetime:
    """A pandas Timestamp from its pickled arguments: (ticks since 1970, freq, time zone, unit)."""
    ticks = args[0]
    unit = args[3] if len(args) > 3 else _NANOSECONDS
    if not isinstance(ticks, int) or unit not in _UNITS_PER_SECOND or (len(args) > 2 and args[2] is not None):
        raise NotPlain("a Timestamp with a time zone")
    return datetime(1970, 1, 1) + timedelta(microseconds=ticks * 10**6 // _UNITS_PER_SECOND[unit])
