"""Tokenizer.from_df: the text columns that it joins, if there are several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list
from fastmar_export.reader import Record


def join_texts(record: Record, where: str, columns: Sequence[str] = ()) -> State | None:
    """``{"columns": [name, ...], "mark_fields"}``; None if the tokenizer reads one column, or is not for a table.

    `columns` are the names that the user chose; empty for the recorded ones.

    Raises:
        UnsupportedTransform: the columns have no names.
    """
    recorded = as_list(record.get("text_cols"))
    if len(recorded) < 2:
        return None
    columns = list(columns) or recorded
    if not all(isinstance(name, str) for name in columns):
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"whose text columns are {columns!r:.80}, and the learner does not contain their names",
            fix="export with --text-column NAME for each of them, in their order.",
            code="unnamed_text_columns",
        )
    options: Any = record.get("kwargs")
    marks = options.get("mark_fields") if isinstance(options, dict) else None
    # fastai marks the fields by default if there are several.
    return {"step": "join_texts", "columns": columns, "mark_fields": True if marks is None else bool(marks)}
