"""DataFrames and Arrow tables: their columns as a `Table`, and answers as a table of the same kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from fastmar_bulk.tables import Table, Values
from fastmar_client.csv_answers import PREFIX
from fastmar_contract.errors import TableUnreadable

_OF_ONE_TYPE = ("string", "boolean", "empty", "bytes")  # objects that Arrow represents exactly, by pandas' names


def read_frame(frame: Any) -> tuple[Table, Callable[[Sequence[str], pa.Table], Any]]:
    """A table's columns, and the function that joins some of them with columns of answers to a table of its kind.

    Args:
        frame: a DataFrame of pandas or Polars, an Arrow table, or any other object with Arrow's C interface for streams
            (`__arrow_c_stream__`); the result for these is an Arrow table.

    Raises:
        TypeError: it is none of these.
        TableUnreadable: two columns have the same name, or columns have several levels.
    """
    if (pandas := sys.modules.get("pandas")) is not None and isinstance(frame, pandas.DataFrame):
        return _read_pandas(frame, pandas)
    if not hasattr(frame, "__arrow_c_stream__"):
        raise TypeError(
            f"a {type(frame).__name__} is not a table. Fix: pass a DataFrame of pandas or Polars, or an Arrow table."
        )
    table = pa.table(frame)
    check_names(table.column_names)
    columns = {name: _one_chunk(column) for name, column in zip(table.column_names, table.columns, strict=True)}

    def join(keep: Sequence[str], answers: pa.Table) -> Any:
        if (polars := sys.modules.get("polars")) is not None and isinstance(frame, polars.DataFrame):
            answered = polars.from_arrow(answers)
            return frame.select(list(keep)).hstack(answered) if keep else answered
        kept = table.select(list(keep))
        return pa.table([*kept.columns, *answers.columns], names=[*kept.column_names, *answers.column_names])

    return Table(columns, table.num_rows), join


def answer_names(kept: Sequence[str], names: Sequence[str]) -> list[str]:
    """`names` of columns of answers, with a prefix before those that are `kept` columns, too."""
    taken = set(kept)
    found = []
    for name in names:
        free = name
        while free in taken:
            free = PREFIX + free
        taken.add(free)
        found.append(free)
    return found


def _read_pandas(frame: Any, pandas: Any) -> tuple[Table, Callable[[Sequence[str], pa.Table], Any]]:
    check_names(list(frame.columns))
    positions = {str(name): position for position, name in enumerate(frame.columns)}
    check_names([str(name) for name in frame.columns])
    columns = {name: _of_series(frame.iloc[:, position], pandas) for name, position in positions.items()}

    def join(keep: Sequence[str], answers: pa.Table) -> Any:
        kept = frame.iloc[:, [positions[name] for name in keep]]
        return pandas.concat([kept, answers.to_pandas().set_axis(frame.index)], axis=1)

    return Table(columns, len(frame)), join


def _of_series(series: Any, pandas: Any) -> Values:
    """An array if Arrow has the same values, else a list."""
    if series.dtype == object and pandas.api.types.infer_dtype(series, skipna=True) not in _OF_ONE_TYPE:
        return list(series)
    try:
        return _one_chunk(pa.array(series, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return list(series)


def _one_chunk(values: Any) -> pa.Array:
    if not isinstance(values, pa.ChunkedArray):
        return values
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def check_names(names: Sequence[Any]) -> None:
    """Refuse columns with the same name or several levels.

    Raises:
        TableUnreadable: there are such columns.
    """
    for name in names:
        if isinstance(name, tuple):
            raise TableUnreadable(f"the table has columns of several levels, such as {name!r}.", fix="flatten them.")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise TableUnreadable(f"the table has two columns {twice!r}.", fix="rename one of them.")
