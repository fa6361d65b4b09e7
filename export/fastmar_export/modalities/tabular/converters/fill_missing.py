"""FillMissing: the values of `na_dict`, which all strategies produce, so the strategy itself is not needed."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.tabular.column_names import by_column
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record


@converter("fastai.tabular.core.FillMissing", domain=TABLE)
def fill_missing(record: Record, where: str, table: Table) -> State:  # noqa: ARG001
    """``{"fills": {column: value}, "add_col": bool}``."""
    na_dict = record.get("na_dict")
    if not isinstance(na_dict, dict):
        raise UnsupportedTransform(where, record.path, why="which has no fill values (it was never set up)")
    try:
        fills = {name: plain(value) for name, value in by_column(na_dict).items()}
    except NotPlain as error:
        raise UnsupportedTransform(where, record.path, why=f"whose fill value is {error}, not a number") from error
    return {"step": "fill_missing", "fills": fills, "add_col": bool(record.get("add_col", True))}
