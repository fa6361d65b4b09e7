"""Shapes of JSON that other tools send: pandas, MLflow, Azure ML, Seldon, Gradio, TensorFlow Serving.

A shape is read where it names its columns. Rows without names are refused: nothing tells their order, and numbers in a
wrong order would be answered without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RequestError
from fastmar_runtime.bodies.request import INSTANCES, Request
from fastmar_runtime.modalities import modality
from fastmar_runtime.spec import Spec

_CODE = "unnamed_columns"


def read(data: dict[str, Any], spec: Spec) -> Request | None:
    """The records of a wrapper or of a table by columns; None where `data` is one record.

    Raises:
        RequestError: it is such a shape, and can't be read as records.
    """
    wrapped = not _WRAPPERS.keys().isdisjoint(data)
    by_columns = modality(spec.kind).reads_csv and isinstance(next(iter(data.values()), None), dict | list)
    if not wrapped and not by_columns:
        return None
    if {f.name for f in spec.fields}.union(*(f.aliases for f in spec.fields)).isdisjoint(data):
        wrapper = next((name for name in _WRAPPERS if name in data), None)
        return _WRAPPERS[wrapper](data, spec) if wrapper is not None else None
    return _by_columns(data) if by_columns else None  # no column of a table takes an object or a list


def name_columns(rows: list[Any], spec: Spec, shape: str) -> list[Any]:
    """`rows` as they are, unless they are lists of values without the columns' names.

    Raises:
        RequestError: they are.
    """
    if modality(spec.kind).reads_csv and any(isinstance(row, list) for row in rows):
        names = [f.name for f in spec.fields if not f.optional] or [f.name for f in spec.fields]
        example = ", ".join(f'"{name}": ...' for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise RequestError(
            f"{shape} holds rows as lists of values, which do not name their columns.",
            code=_CODE,
            fix=f"send each row as an object: {{{example}}}; with pandas, df.to_dict('records').",
        )
    return rows


def _by_columns(data: dict[str, Any]) -> Request | None:
    """``df.to_json()``, an object of objects by the index, or ``df.to_dict("list")``, an object of lists."""
    values = list(data.values())
    if all(isinstance(column, list) for column in values):
        name, rows = 'df.to_dict("list")', [dict(enumerate(column)) for column in values]
    elif all(isinstance(column, dict) for column in values):
        name, rows = "df.to_json()", values
    else:
        return None
    index = list(rows[0])
    if any(column.keys() != rows[0].keys() for column in rows):
        raise RequestError(
            f"this looks like {name}, and its columns differ in their rows.",
            code="ragged_columns",
            fix="send a value of each column for each row, or df.to_dict('records').",
        )
    return Request([{name: column[key] for name, column in zip(data, rows, strict=True)} for key in index])


def _dataframe_records(data: dict[str, Any], spec: Spec) -> Request:
    rows = data["dataframe_records"]
    if not isinstance(rows, list):
        raise _not_a(rows, "dataframe_records", '{"dataframe_records": [RECORD, ...]}')
    return Request(name_columns(rows, spec, "dataframe_records"), INSTANCES)


def _split(wrapper: str) -> Callable[[dict[str, Any], Spec], Request]:
    """Reads ``{wrapper: {"columns": [...], "data": [[...], ...]}}``."""

    def read_split(data: dict[str, Any], spec: Spec) -> Request:
        table = data[wrapper]
        if isinstance(table, list):
            return Request(name_columns(table, spec, wrapper), INSTANCES)
        if not isinstance(table, dict):
            raise _not_a(table, wrapper, f'{{"{wrapper}": {{"columns": [...], "data": [[...], ...]}}}}')
        return Request(_named(table.get("columns"), table.get("data"), wrapper), INSTANCES)

    return read_split


def _data(data: dict[str, Any], spec: Spec) -> Request:
    """Seldon's ``data``, ``df.to_json(orient="split")``, and Gradio's list."""
    table = data["data"]
    if "columns" in data:
        return Request(_named(data["columns"], table, "the table"))
    if isinstance(table, dict):
        rows = table.get("ndarray")
        if rows is None and isinstance(table.get("tensor"), dict):
            rows = _tensor_rows(table["tensor"])
        if rows is None:
            raise _not_a(table, "data", '{"data": {"names": [...], "ndarray": [[...], ...]}}')
        if not table.get("names") and isinstance(rows, list):
            return Request(_records_of(rows, spec, "ndarray"))
        return Request(_named(table.get("names"), rows, "ndarray"))
    if not isinstance(table, list):
        raise _not_a(table, "data", '{"data": [RECORD, ...]}')
    if len(table) == 1 and isinstance(table[0], dict) and {"headers", "data"} <= table[0].keys():  # Gradio's dataframe
        return Request(_named(table[0]["headers"], table[0]["data"], "data"))
    return Request(_records_of(table, spec, "data"))


def _records_of(rows: list[Any], spec: Spec, shape: str) -> list[Any]:
    """`rows` where they are records; values of one row without names are refused as rows of them are."""
    if modality(spec.kind).reads_csv and rows and not any(isinstance(row, dict | list) for row in rows):
        rows = [rows]
    return name_columns(rows, spec, shape)


def _named(columns: Any, rows: Any, shape: str) -> list[Any]:
    """Records of rows of values, by the columns' names."""
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError(
            f"{shape} has no list of columns' names.", code=_CODE, fix="name each column, or send records."
        )
    if len(set(columns)) < len(columns):
        raise RequestError(f"{shape} names a column twice.", fix="give each column a name of its own.")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestError(
            f"{shape} names columns, but its rows are no lists of values.",
            fix="send a list of rows, each a list with a value for each column.",
        )
    for position, row in enumerate(rows):
        if len(row) != len(columns):
            raise RequestError(
                f"row {position} of {shape} has {len(row)} values for {len(columns)} columns.",
                code="ragged_row",
                fix="give each row a value for each column.",
            )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _tensor_rows(tensor: dict[str, Any]) -> list[Any] | None:
    """Rows of Seldon's ``{"shape": [rows, columns], "values": [...]}``."""
    shape, values = tensor.get("shape"), tensor.get("values")
    if not isinstance(values, list) or not isinstance(shape, list) or len(shape) != 2:
        return None
    height, width = shape
    if type(height) is not int or type(width) is not int or width < 1 or height * width != len(values):
        return None
    return [values[start : start + width] for start in range(0, len(values), width)]


def _not_a(value: Any, name: str, example: str) -> RequestError:
    return RequestError(f"{name} is {short_repr(value)}.", fix=f"send {example}, or a list of records.")


_WRAPPERS: dict[str, Callable[[dict[str, Any], Spec], Request]] = {
    "dataframe_split": _split("dataframe_split"),
    "dataframe_records": _dataframe_records,
    "input_data": _split("input_data"),
    "data": _data,
}
