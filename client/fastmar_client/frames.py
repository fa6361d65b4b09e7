"""Tables of pandas as records, row by row; known by what they can do, so that pandas is not needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from fastmar_client.pictures import is_batch, is_picture_object


class Frame(Protocol):
    """As much of a pandas DataFrame as is used here."""

    @property
    def columns(self) -> Any:
        """The columns' names."""

    def itertuples(self, index: bool, name: str | None) -> Iterable[tuple[Any, ...]]:
        """The rows."""


def is_frame(value: object) -> bool:
    """Whether `value` is a DataFrame."""
    return hasattr(value, "itertuples") and hasattr(value, "columns")


def records_of(frame: Frame) -> Iterator[dict[str, Any]]:
    """A record for each row, in their order, made when it is asked for; the index is no column.

    Raises:
        TypeError: a column has no name of its own.
    """
    columns = list(frame.columns)
    for column in columns:
        if isinstance(column, tuple):
            raise TypeError(f"the frame's columns have several levels, such as {column!r}: give each one name")
        if columns.count(column) > 1:
            raise TypeError(f"the frame has two columns {column!r}: give each a name of its own")
    names = [str(column) for column in columns]
    rows = frame.itertuples(index=False, name=None)
    return (dict(zip(names, row, strict=True)) for row in rows)


def records_in(records: Any) -> Iterable[Any]:
    """The records of a DataFrame, or of any iterable of them.

    Raises:
        TypeError: it is one record, or something whose items are none: iterating it would ask nonsense, and answers to
            nonsense look like answers.
    """
    if is_frame(records):
        return records_of(records)
    if isinstance(records, Mapping):
        raise TypeError(f"a {type(records).__name__} is no list of records: put the record into a list")
    if hasattr(records, "iloc"):
        raise TypeError(f"a {type(records).__name__} is no list of records: give series.to_dict() for one record")
    if isinstance(records, str):
        raise TypeError("a str is no list of records: put it into a list")
    if isinstance(records, bytes | bytearray | os.PathLike):
        raise TypeError(f"a {type(records).__name__} is no list of pictures: put the picture into a list")
    if is_picture_object(records) and not is_batch(records):
        raise TypeError(f"a {type(records).__name__} is no list of pictures: put the picture into a list")
    found: Iterable[Any] = records
    return found
