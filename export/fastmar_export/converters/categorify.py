"""Categorify: the vocabularies of the category columns, as fastai's look-up sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_export.converters import State, Table, converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import listed
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record

NA = "#na#"


@converter("fastai.tabular.core.Categorify", domain="tabular")
def categorify(record: Record, where: str, table: Table) -> State:
    """``{"vocabularies": {column: [category, ...]}}``, in the order of the codes from 1."""
    classes = record.get("classes")
    if not isinstance(classes, dict):
        raise UnsupportedTransform(where, record.path, why="which holds no categories (was it ever set up?)")
    return {
        "step": "categorify",
        "vocabularies": {name: _vocabulary(name, classes.get(name), where, table) for name in table.cats},
    }


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
    _say_surprises(column, items[1:], vocabulary, table)
    return vocabulary


def _say_surprises(column: str, items: list[Any], vocabulary: list[Any], table: Table) -> None:
    """What fastai itself answers, and nobody expects."""
    rounded = [item for item in items if isinstance(item, np.float32) and float(str(item)) != item.item()]
    if rounded:
        table.notice(
            column,
            "float_categories",
            f"{column!r} has float categories that fastai stored as float32, such as {rounded[0]}: learn.predict "
            f"answers {rounded[0]} as unknown, and so does this model. Train with them turned into strings.",
        )
    if column.endswith("_na") and column.removesuffix("_na") in table.conts:
        return  # FillMissing's own flag: no caller sends it
    if vocabulary and all(isinstance(x, bool) for x in vocabulary):
        table.notice(
            column,
            "bool_categories",
            f"{column!r} has the categories true and false: 1 and 0 match them as they do in learn.predict of a row; "
            'the strings "True" and "False" do not.',
        )
