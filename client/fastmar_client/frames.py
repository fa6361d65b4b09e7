"""DataFrames as records, row by row; duck-typed, so that pandas is not required."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from fastmar_client.pictures import is_batch, is_picture_object


class Frame(Protocol):
    """The part of pandas' DataFrame that is used here."""

    @property
    def columns(self) -> Any:
        """The columns' names."""

    def itertuples(self, index: bool, name: str | None) -> Iterable[tuple[Any, ...]]:
        """The rows."""


def is_frame(value: object) -> bool:
    """Whether `value` is a DataFrame."""
    return hasattr(value, "itertuples") and hasattr(value, "columns")


def records_of(frame: Frame) -> Iterator[dict[str, Any]]:
    """An iterator of records, one for each row; the index is not a column.

    Raises:
        TypeError: the names of the columns are not unique, or have several levels.
    """
    columns = list(frame.columns)
    for column in columns:
        if isinstance(column, tuple):
            raise TypeError(f"the DataFrame has columns of several levels, such as {column!r}. Fix: flatten them.")
        if columns.count(column) > 1:
            raise TypeError(f"the DataFrame has two columns {column!r}. Fix: rename one of them.")
    names = [str(column) for column in columns]
    rows = frame.itertuples(index=False, name=None)
    return (dict(zip(names, row, strict=True)) for row in rows)


def check_one(record: object) -> None:
    """Refuse rows of pandas where one record is required.

    Raises:
        TypeError: `record` is a DataFrame or a Series.
    """
    if is_frame(record):
        raise TypeError("a DataFrame is not one record. Fix: pass one row, such as frame.iloc[0].to_dict().")
    if hasattr(record, "iloc"):
        raise TypeError(f"a {type(record).__name__} is not a record. Fix: pass series.to_dict().")


def records_in(records: Any) -> Iterable[Any]:
    """The records of a DataFrame, or of any iterable of them.

    Raises:
        TypeError: it is one record, or its items are not records, such as the keys of a mapping.
    """
    if is_frame(records):
        return records_of(records)
    if isinstance(records, Mapping):
        raise TypeError(f"a {type(records).__name__} is one record, not a list. Fix: pass [record].")
    if hasattr(records, "iloc"):
        raise TypeError(f"a {type(records).__name__} is not a list of records. Fix: pass [series.to_dict()].")
    if isinstance(records, str):
        raise TypeError("a str is one record, not a list. Fix: pass [text].")
    if isinstance(records, bytes | bytearray | os.PathLike):
        raise TypeError(f"a {type(records).__name__} is one picture, not a list. Fix: pass [picture].")
    if is_picture_object(records) and not is_batch(records):
        raise TypeError(f"a {type(records).__name__} is one picture, not a list. Fix: pass [picture].")
    if not isinstance(records, Iterable):
        raise TypeError(
            f"a {type(records).__name__} is neither a record nor a list. Fix: pass a dict, a picture or a list."
        )
    return records
