"""Tokens of a SentencePiece model, compared with fastai's tokenizer."""

from __future__ import annotations

import base64
import sys
from typing import Any

import pytest
from benchmarks.texts import long_texts, nasty_texts, real_texts
from benchmarks.tokens import fastai_subwords

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """fastai's Tokenizer without rules."""
    tokenizer = fastai_subwords(real_texts(400), tmp_path_factory.mktemp("sentencepiece"), vocab_sz=600)
    tokenizer.rules = []
    return tokenizer


def sentencepiece_step(trained: Any) -> Any:
    model = base64.b64encode(trained.tok.tok.serialized_model_proto()).decode()
    return load_step({"step": "sentencepiece_tokens", "model": model})


def test_tokens(trained: Any) -> None:
    step = sentencepiece_step(trained)
    for text in [*real_texts(200), *nasty_texts(2000), *long_texts()]:
        assert step(text) == list(trained(text))


def test_text_that_is_not_unicode_is_refused(trained: Any) -> None:
    with pytest.raises(RecordError) as caught:
        sentencepiece_step(trained)("half \ud800")
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize("model", [None, "*", "", "YWJj"])
def test_invalid_states(model: Any) -> None:
    with pytest.raises(BundleUnreadable):
        load_step({"step": "sentencepiece_tokens", "model": model})


def test_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(BundleUnreadable) as caught:
        load_step({"step": "sentencepiece_tokens", "model": ""})
    assert caught.value.code == "sentencepiece_missing"
