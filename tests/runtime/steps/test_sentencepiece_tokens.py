"""Tokens of a SentencePiece model, compared with fastai's tokenizer."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.texts import long_texts, nasty_texts, real_texts
from fastai.text.core import SubwordTokenizer, Tokenizer

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tokenizer = SubwordTokenizer(cache_dir=tmp_path_factory.mktemp("sentencepiece"), vocab_sz=400)
    text = Path(tokenizer.cache_dir) / "texts.out"
    text.write_text("\n".join(" ".join(text.split()) for text in real_texts(400)), "utf-8")
    tokenizer.sp_model = tokenizer.train(text)
    tokenizer.tok = __import__("sentencepiece").SentencePieceProcessor()
    tokenizer.tok.Load(str(tokenizer.sp_model))
    return tokenizer


def sentencepiece_step(trained: Any) -> Any:
    model = base64.b64encode(trained.tok.serialized_model_proto()).decode()
    return load_step({"step": "sentencepiece_tokens", "model": model})


def test_tokens(trained: Any) -> None:
    step, expected = sentencepiece_step(trained), Tokenizer(trained, rules=[])
    for text in [*real_texts(200), *nasty_texts(2000), *long_texts()]:
        assert step(text) == list(expected(text))


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
