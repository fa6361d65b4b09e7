"""The texts of several columns are joined as in fastai."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from fastai.text.core import _join_texts

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step


@pytest.mark.parametrize("mark_fields", [True, False])
@pytest.mark.parametrize("columns", [["title", "body"], ["body", "title", "note"]])
def test_joined_texts(columns: list[str], mark_fields: bool) -> None:
    step = load_step({"step": "join_texts", "columns": columns, "mark_fields": mark_fields})
    record = {"title": "A title", "body": " two\nlines ", "note": "", "other": "is not read"}
    assert step(record) == _join_texts(pd.DataFrame([record])[columns], mark_fields=mark_fields)[0]


def test_a_text_is_unchanged() -> None:
    step = load_step({"step": "join_texts", "columns": ["a", "b"], "mark_fields": True})
    assert step("xxfld 1 a xxfld 2 b") == "xxfld 1 a xxfld 2 b"


@pytest.mark.parametrize(
    "state", [{"columns": ["a"]}, {"columns": ["a", "a"]}, {"columns": ["a", 1]}, {"columns": ["a", "b"], "more": 1}]
)
def test_invalid_states(state: dict[str, Any]) -> None:
    with pytest.raises(BundleUnreadable):
        load_step({"step": "join_texts", "mark_fields": True, **state})
