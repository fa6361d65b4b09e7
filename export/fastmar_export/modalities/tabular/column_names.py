"""Names of a table's columns: strings, and integers, whose digits become the name."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export.conversion import State, model_notice
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.learner import as_list
from fastmar_export.reader import Record
from fastmar_export.reader.records import brief

_MAX_SHOWN = 3  # columns that the notice lists
_BITS = 64


def column_name(key: Any) -> str | None:
    """The name in records of the column with the key `key`; None if `key` is not a valid column key."""
    if isinstance(key, np.integer):
        key = key.item()
    if isinstance(key, str):
        return key
    return str(key) if type(key) is int and key.bit_length() < _BITS else None


def by_column(values: dict[Any, Any]) -> dict[str, Any]:
    """The values that a transform recorded, by column name instead of column key."""
    return {name: value for key, value in values.items() if (name := column_name(key)) is not None}


def recorded_names(dataset: Record, attribute: str) -> list[str]:
    """Names of the columns that `attribute` of the table lists.

    Raises:
        UnsupportedLearner: one of them is neither a string nor an integer.
    """
    keys = as_list(dataset.get(attribute))
    names = [column_name(key) for key in keys]
    if None in names:
        raise UnsupportedLearner(
            f"dls.{attribute} contains {brief(keys[names.index(None)])}, which is not a column name.",
            fix="use strings as names of the table's columns, train and export again.",
            code="invalid_column_name",
        )
    return [name for name in names if name is not None]


def integer_names_notice(dataset: Record) -> State | None:
    """The notice that integer column names are written as text in records; None if all names are strings.

    Raises:
        UnsupportedLearner: an integer and a string have the same text.
    """
    keys = [key for attribute in ("cat_names", "cont_names", "y_names") for key in as_list(dataset.get(attribute))]
    strings = {key for key in keys if isinstance(key, str)}
    integers = list(dict.fromkeys(name for key in keys if not isinstance(key, str) and (name := column_name(key))))
    for name in integers:
        if name in strings:
            raise UnsupportedLearner(
                f"the table has a column {name!r} (a string) and a column {name} (an integer).",
                fix="rename one of the two, train and export again.",
                code="ambiguous_column_name",
            )
    if not integers:
        return None
    shown = ", ".join(f'"{name}"' for name in integers[:_MAX_SHOWN]) + ", ..." * (len(integers) > _MAX_SHOWN)
    return model_notice(
        "integer_column_names",
        f"the table's column names are integers; use their text in records: {shown}.",
    )
