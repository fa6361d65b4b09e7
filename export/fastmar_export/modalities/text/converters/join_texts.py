"""Tokenizer.from_df: the text columns that it joins, if there are several."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list
from fastmar_export.reader import Record


def join_texts(record: Record, where: str) -> State | None:
    """``{"columns": [name, ...], "mark_fields"}``; None if the tokenizer reads one column, or is not for a table.

    Raises:
        UnsupportedTransform: the columns have no names.
    """
    columns = as_list(record.get("text_cols"))
    if len(columns) < 2:
        return None
    if not all(isinstance(name, str) for name in columns):
        raise UnsupportedTransform(
            where,
            record.path,
            why=f"whose text columns are {columns!r:.80}, and the learner does not contain their names",
            fix="pass the names of the columns as text_cols, train and export again.",
            code="unnamed_text_columns",
        )
    options: Any = record.get("kwargs")
    marks = options.get("mark_fields") if isinstance(options, dict) else None
    # fastai marks the fields by default if there are several.
    return {"step": "join_texts", "columns": columns, "mark_fields": True if marks is None else bool(marks)}
