"""Ids of tokens, as of fastai's Numericalize."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastai.text.data import Numericalize
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step

VOCAB = ["xxunk", "xxpad", "xxbos", "a", "b", None, "c d"]


def numericalize(vocab: Any) -> Any:
    return load_step({"step": "numericalize", "vocab": vocab})


@given(st.lists(st.sampled_from(["xxunk", "xxpad", "a", "b", "c d", "c", "unknown", "", "xxfake"]), min_size=1))
def test_ids(tokens: list[str]) -> None:
    fastai = Numericalize(VOCAB)
    del fastai.o2i[None]  # an id without a token
    found = numericalize(VOCAB)(tokens)
    assert found.dtype == np.int64
    assert found.tolist() == fastai.encodes(tokens).tolist()


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(RecordError) as caught:
        numericalize(VOCAB)([])
    assert caught.value.code == "empty_text"


@pytest.mark.parametrize("vocab", [None, "abc", ["a", 1], ["a", "a"]])
def test_invalid_states(vocab: Any) -> None:
    with pytest.raises(BundleUnreadable):
        numericalize(vocab)
