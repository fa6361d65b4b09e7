"""Tokens of fastai's BaseTokenizer."""

from __future__ import annotations

import pytest
from benchmarks.texts import nasty_texts
from fastai.text.core import BaseTokenizer

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step


@pytest.mark.parametrize("split_char", [" ", "\t", "ab", None])
def test_tokens(split_char: str | None) -> None:
    step, expected = load_step({"step": "split_tokens", "split_char": split_char}), BaseTokenizer(split_char)
    texts = nasty_texts(2000)
    assert [step(text) for text in texts] == list(expected(texts))


@pytest.mark.parametrize("state", [{}, {"split_char": ""}, {"split_char": 1}, {"split_char": " ", "more": 1}])
def test_invalid_states(state: dict[str, object]) -> None:
    with pytest.raises(BundleUnreadable):
        load_step({"step": "split_tokens", **state})
