"""Numericalize: the ids of tokens, from its dict `o2i`, which differs from `vocab` at "xxfake" and repeated tokens."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list
from fastmar_export.modalities.text.domains import TEXT
from fastmar_export.reader import Record


@converter("fastai.text.data.Numericalize", domain=TEXT)
def numericalize(record: Record, where: str, shared: Any) -> State:  # noqa: ARG001
    """``{"vocab": [token or null, ...]}``: the token of each id; null for ids that no token has."""
    ids = record.get("o2i")
    if not isinstance(ids, dict) or not ids:
        raise UnsupportedTransform(where, record.path, why="which has no vocabulary (it was never set up)")
    words = as_list(record.get("vocab"))
    vocab: list[str | None] = [None] * len(words)
    for token, number in ids.items():
        if not isinstance(token, str) or type(number) is not int or not 0 <= number < len(words):
            raise UnsupportedTransform(
                where, record.path, why=f"whose o2i has {token!r:.60} with the id {number!r:.20}"
            )
        # fastai adds each unknown token that it meets to this defaultdict, with id 0.
        if number or token == words[0]:
            vocab[number] = token
    return {"step": "numericalize", "vocab": vocab}
