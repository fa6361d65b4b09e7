"""JSON formats of other tools: pandas, MLflow, Azure ML, Seldon, Gradio, TensorFlow Serving.

A format is accepted if it names its columns. Rows without column names are refused, because their order is unknown, and
numbers in a wrong order would be answered without an error.
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
    """The records of a wrapper or of a table by columns; None if `data` is a record.

    Raises:
        RequestError: it has such a format, but can't be read as records.
    """
    wrapped = not _WRAPPERS.keys().isdisjoint(data)
    by_columns = modality(spec.kind).reads_csv and isinstance(next(iter(data.values()), None), dict | list)
    if not wrapped and not by_columns:
        return None
    if {f.name for f in spec.fields}.union(*(f.aliases for f in spec.fields)).isdisjoint(data):
        wrapper = next((name for name in _WRAPPERS if name in data), None)
        return _WRAPPERS[wrapper](data, spec) if wrapper is not None else None
    return _by_columns(data) if by_columns else None  # no column of a table takes an object or a list


def check_named(rows: list[Any], spec: Spec, shape: str) -> list[Any]:
    """Return `rows` unless they are lists of values without column names.

    Raises:
        RequestError: they are such lists.
    """
    if modality(spec.kind).reads_csv and any(isinstance(row, list) for row in rows):
        names = [f.name for f in spec.fields if not f.optional] or [f.name for f in spec.fields]
        example = ", ".join(f'"{name}": ...' for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise RequestError(
            f"{shape} has rows as lists of values, without column names.",
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
            f"this looks like {name}, but its columns have different rows.",
            code="ragged_columns",
            fix="send a value for each row and column, or use df.to_dict('records').",
        )
    return Request([{name: column[key] for name, column in zip(data, rows, strict=True)} for key in index])


def _dataframe_records(data: dict[str, Any], spec: Spec) -> Request:
    rows = data["dataframe_records"]
    if not isinstance(rows, list):
        raise _invalid(rows, "dataframe_records", '{"dataframe_records": [RECORD, ...]}')
    return Request(check_named(rows, spec, "dataframe_records"), INSTANCES)


def _split(wrapper: str) -> Callable[[dict[str, Any], Spec], Request]:
    """The reader of ``{wrapper: {"columns": [...], "data": [[...], ...]}}``."""

    def read_split(data: dict[str, Any], spec: Spec) -> Request:
        table = data[wrapper]
        if isinstance(table, list):
            return Request(check_named(table, spec, wrapper), INSTANCES)
        if not isinstance(table, dict):
            raise _invalid(table, wrapper, f'{{"{wrapper}": {{"columns": [...], "data": [[...], ...]}}}}')
        return Request(_to_records(table.get("columns"), table.get("data"), wrapper), INSTANCES)

    return read_split


def _data(data: dict[str, Any], spec: Spec) -> Request:
    """Seldon's ``data``, ``df.to_json(orient="split")``, and Gradio's list."""
    table = data["data"]
    if "columns" in data:
        return Request(_to_records(data["columns"], table, "the table"))
    if isinstance(table, dict):
        rows = table.get("ndarray")
        if rows is None and isinstance(table.get("tensor"), dict):
            rows = _tensor_rows(table["tensor"])
        if rows is None:
            raise _invalid(table, "data", '{"data": {"names": [...], "ndarray": [[...], ...]}}')
        if not table.get("names") and isinstance(rows, list):
            return Request(_check_rows(rows, spec, "ndarray"))
        return Request(_to_records(table.get("names"), rows, "ndarray"))
    if not isinstance(table, list):
        raise _invalid(table, "data", '{"data": [RECORD, ...]}')
    if len(table) == 1 and isinstance(table[0], dict) and {"headers", "data"} <= table[0].keys():  # Gradio's dataframe
        return Request(_to_records(table[0]["headers"], table[0]["data"], "data"))
    return Request(_check_rows(table, spec, "data"))


def _check_rows(rows: list[Any], spec: Spec, shape: str) -> list[Any]:
    """Return `rows` if they are records; a single row of values is refused like a list of such rows."""
    traits = modality(spec.kind)
    if traits.reads_csv and not traits.reads_text and rows and not any(isinstance(row, dict | list) for row in rows):
        rows = [rows]
    return check_named(rows, spec, shape)


def _to_records(columns: Any, rows: Any, shape: str) -> list[Any]:
    """Records made of column names and rows of values."""
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError(
            f"{shape} has no list of column names.", code=_CODE, fix="name each column, or send records."
        )
    if len(set(columns)) < len(columns):
        raise RequestError(f"{shape} repeats a column name.", fix="give each column a different name.")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestError(
            f"{shape} has column names, but its rows are not lists of values.",
            fix="send a list of rows, each a list with one value per column.",
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise RequestError(
                f"row {number} of {shape} has {len(row)} values for {len(columns)} columns.",
                code="ragged_row",
                fix="send one value per column in each row.",
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


def _invalid(value: Any, name: str, example: str) -> RequestError:
    return RequestError(
        f"{name} has an unsupported value: {short_repr(value)}.", fix=f"send {example}, or a list of records."
    )


_WRAPPERS: dict[str, Callable[[dict[str, Any], Spec], Request]] = {
    "dataframe_split": _split("dataframe_split"),
    "dataframe_records": _dataframe_records,
    "input_data": _split("input_data"),
    "data": _data,
}
