"""Categorify: the vocabularies of the category columns, with the values that fastai's lookup compares."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list
from fastmar_export.modalities.tabular.column_names import by_column
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record

NA = "#na#"
_MAX_SHOWN = 6  # columns that a notice lists


@converter("fastai.tabular.core.Categorify", domain=TABLE)
def categorify(record: Record, where: str, table: Table) -> State:
    """``{"vocabularies": {column: [category, ...]}}``, in the order of the codes from 1."""
    classes = record.get("classes")
    if not isinstance(classes, dict):
        raise UnsupportedTransform(where, record.path, why="which has no categories (it was never set up)")
    by_name = by_column(classes)
    vocabularies = {name: _vocabulary(name, by_name.get(name), where, table) for name in table.cats}
    _notice_bool_categories(vocabularies, table)
    return {"step": "categorify", "vocabularies": vocabularies}


def _vocabulary(column: str, category_map: Any, where: str, table: Table) -> list[Any]:
    if not isinstance(category_map, Record):
        raise UnsupportedTransform(
            where, "fastai.tabular.core.Categorify", why=f"which has no categories for {column!r}"
        )
    items = as_list(category_map)
    if not items or items[0] != NA:
        raise UnsupportedTransform(where, category_map.path, why=f"whose code 0 for {column!r} is not {NA}")
    try:
        vocabulary = [plain(item) for item in items[1:]]
    except NotPlain as error:
        raise UnsupportedTransform(
            where,
            f"the vocabulary of {column!r}, which contains {error}",
            why="a value that a request can't contain",
            fix=f"convert {column!r} to strings or numbers before training.",
        ) from error
    _notice_float_categories(column, items[1:], table)
    return vocabulary


def _notice_float_categories(column: str, items: list[Any], table: Table) -> None:
    """Add a notice about float32 categories, which fastai itself does not recognise."""
    rounded = [item for item in items if isinstance(item, np.float32) and float(str(item)) != item.item()]
    if rounded:
        table.notice(
            column,
            "float_categories",
            f"{column!r} has float categories that fastai stored as float32, such as {rounded[0]}: learn.predict "
            f"treats {rounded[0]} as unknown, and so does this model. Convert them to strings before training.",
        )


def _notice_bool_categories(vocabularies: dict[str, list[Any]], table: Table) -> None:
    """Add one notice for all boolean category columns, except FillMissing's flags, which callers do not send."""
    columns = [
        column
        for column, vocabulary in vocabularies.items()
        if vocabulary
        and all(isinstance(x, bool) for x in vocabulary)
        and not (column.endswith("_na") and column.removesuffix("_na") in table.conts)
    ]
    if columns:
        named = ", ".join(map(repr, columns[:_MAX_SHOWN])) + ", ..." * (len(columns) > _MAX_SHOWN)
        table.notice(
            columns[0] if len(columns) == 1 else None,
            "bool_categories",
            f"{named}: the categories are true and false. As in learn.predict, 1 and 0 match them, and in JSON "
            'the strings "True" and "False" do not. In CSV, the cells True and False match.',
        )
