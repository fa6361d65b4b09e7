"""Normalize for tables: means and standard deviations by column."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.tabular.column_names import by_column
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record


@converter("fastai.data.transforms.Normalize", domain=TABLE)
def normalize(record: Record, where: str, table: Table) -> State:
    """``{"means": {column: float}, "stds": {column: float}}``; the stds already include fastai's 1e-7."""
    means = _by_column(record, "means", where, table)
    stds = _by_column(record, "stds", where, table)
    return {"step": "normalize", "means": means, "stds": stds}


def _by_column(record: Record, name: str, where: str, table: Table) -> dict[str, float]:
    values = record.get(name)
    if not isinstance(values, dict):
        raise UnsupportedTransform(where, record.path, why=f"which has no {name} (it was never set up)")
    values = by_column(values)
    try:
        return {column: float(plain(values[column])) for column in table.conts}
    except (TypeError, KeyError, NotPlain) as error:
        raise UnsupportedTransform(where, record.path, why=f"which has no {name} for {error}") from error
