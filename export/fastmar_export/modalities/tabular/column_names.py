"""Names of a table's columns: strings, and integers, which are written as their digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export.conversion import State, model_notice
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.learner import listed
from fastmar_export.reader import Record
from fastmar_export.reader.records import brief

_SHOWN = 3  # columns that the notice lists
_BITS = 64


def column_name(key: Any) -> str | None:
    """What the column that a learner knows as `key` is called in records; None where `key` names no column."""
    if isinstance(key, np.integer):
        key = key.item()
    if isinstance(key, str):
        return key
    return str(key) if type(key) is int and key.bit_length() < _BITS else None


def by_column(values: dict[Any, Any]) -> dict[str, Any]:
    """What a transform recorded for each column, by the column's name in records."""
    return {name: value for key, value in values.items() if (name := column_name(key)) is not None}


def recorded_names(dataset: Record, attribute: str) -> list[str]:
    """Names of the columns that `attribute` of the table lists.

    Raises:
        UnsupportedLearner: one of them is neither a string nor an integer.
    """
    keys = listed(dataset.get(attribute))
    names = [column_name(key) for key in keys]
    if None in names:
        raise UnsupportedLearner(
            f"dls.{attribute} holds {brief(keys[names.index(None)])}, where the name of a column belongs.",
            fix="name the table's columns with strings, train and export again.",
        )
    return [name for name in names if name is not None]


def integer_names_notice(dataset: Record) -> State | None:
    """That columns with integer names are called by their digits; None where all names are strings.

    Raises:
        UnsupportedLearner: an integer and a string would become one name.
    """
    keys = [key for attribute in ("cat_names", "cont_names", "y_names") for key in listed(dataset.get(attribute))]
    strings = {key for key in keys if isinstance(key, str)}
    integers = list(dict.fromkeys(name for key in keys if not isinstance(key, str) and (name := column_name(key))))
    for name in integers:
        if name in strings:
            raise UnsupportedLearner(
                f"the table has a column {name!r} (a string) and a column {name} (an integer).",
                fix="give one of the two another name, train and export again.",
            )
    if not integers:
        return None
    shown = ", ".join(f'"{name}"' for name in integers[:_SHOWN]) + ", ..." * (len(integers) > _SHOWN)
    return model_notice(
        "integer_column_names",
        f"columns are named with integers; records, which are JSON or CSV, name them {shown}.",
    )
