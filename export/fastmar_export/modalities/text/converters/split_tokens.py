"""BaseTokenizer: splits a text at a character."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.text.domains import TOKENIZER
from fastmar_export.reader import Record


@converter("fastai.text.core.BaseTokenizer", domain=TOKENIZER)
def split_tokens(record: Record, where: str, shared: Any) -> State:  # noqa: ARG001
    """``{"split_char"}``."""
    split_char = record.get("split_char", " ")
    if split_char is not None and (not isinstance(split_char, str) or not split_char):
        raise UnsupportedTransform(where, record.path, why=f"whose split_char is {split_char!r:.60}")
    return {"step": "split_tokens", "split_char": split_char}
