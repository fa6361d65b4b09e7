"""Categorify: the vocabularies of the category columns, as fastai's look-up sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import listed
from fastmar_export.modalities.tabular.column_names import by_column
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record

NA = "#na#"
_SHOWN = 6  # columns that a notice lists


@converter("fastai.tabular.core.Categorify", domain=TABLE)
def categorify(record: Record, where: str, table: Table) -> State:
    """``{"vocabularies": {column: [category, ...]}}``, in the order of the codes from 1."""
    classes = record.get("classes")
    if not isinstance(classes, dict):
        raise UnsupportedTransform(where, record.path, why="which holds no categories (was it ever set up?)")
    by_name = by_column(classes)
    vocabularies = {name: _vocabulary(name, by_name.get(name), where, table) for name in table.cats}
    _say_bools(vocabularies, table)
    return {"step": "categorify", "vocabularies": vocabularies}


def _vocabulary(column: str, category_map: Any, where: str, table: Table) -> list[Any]:
    if not isinstance(category_map, Record):
        raise UnsupportedTransform(
            where, "fastai.tabular.core.Categorify", why=f"which has no categories of {column!r}"
        )
    items = listed(category_map)
    if not items or items[0] != NA:
        raise UnsupportedTransform(where, category_map.path, why=f"whose code 0 of {column!r} is not {NA}")
    try:
        vocabulary = [plain(item) for item in items[1:]]
    except NotPlain as error:
        raise UnsupportedTransform(
            where,
            f"the vocabulary of {column!r}, which holds {error}",
            why="which a request can't carry",
            fix=f"train with {column!r} turned into strings or numbers.",
        ) from error
    _say_floats(column, items[1:], table)
    return vocabulary


def _say_floats(column: str, items: list[Any], table: Table) -> None:
    """What fastai itself answers, and nobody expects."""
    rounded = [item for item in items if isinstance(item, np.float32) and float(str(item)) != item.item()]
    if rounded:
        table.notice(
            column,
            "float_categories",
            f"{column!r} has float categories that fastai stored as float32, such as {rounded[0]}: learn.predict "
            f"answers {rounded[0]} as unknown, and so does this model. Train with them turned into strings.",
        )


def _say_bools(vocabularies: dict[str, list[Any]], table: Table) -> None:
    """One notice for all columns of true and false, apart from FillMissing's flags, which no caller sends."""
    columns = [
        column
        for column, vocabulary in vocabularies.items()
        if vocabulary
        and all(isinstance(x, bool) for x in vocabulary)
        and not (column.endswith("_na") and column.removesuffix("_na") in table.conts)
    ]
    if columns:
        named = ", ".join(map(repr, columns[:_SHOWN])) + ", ..." * (len(columns) > _SHOWN)
        table.notice(
            columns[0] if len(columns) == 1 else None,
            "bool_categories",
            f"{named}: the categories are true and false. 1 and 0 match them as they do in learn.predict of a row; "
            'the strings "True" and "False" do not.',
        )
