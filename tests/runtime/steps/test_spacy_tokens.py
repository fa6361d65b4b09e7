"""Tokens of spaCy's tokenizer, compared with fastai's SpacyTokenizer; no difference is tolerated.

`python -m benchmarks.tokens` compares more texts, in all languages.
"""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any

import pytest
import spacy
from benchmarks.texts import long_texts, nasty_texts, real_texts
from benchmarks.tokens import example_sentences, fastai_words, states_of
from fastai.text.data import Numericalize
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer
from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step
from fastmar_runtime.text import spacy_tokenizer
from fastmar_runtime.text.spacy_tokenizer import Patterns, SpacyTokenizer

PARTS = ["a", "b", "ab", "a-b", "a.", "(", ")", ".", ":", "-", "--", " ", "  ", "\n", "a b", "x", "xa", "1"]


def joined(parts: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(parts), max_size=12).map("".join)


@cache
def words(language: str = "en") -> Any:
    return fastai_words(language, rules=[])


@cache
def state(language: str = "en") -> dict[str, Any]:
    [found] = [
        state for state in states_of([words(language), Numericalize(["xxunk"])]) if state["step"] == "spacy_tokens"
    ]
    return found


@pytest.mark.parametrize("language", ["en", "hu", "bn", "xx"])
def test_tokens(language: str) -> None:
    step, expected = load_step(state(language)), words(language)
    count = 2000 if language == "en" else 200
    for text in [*example_sentences(language), *real_texts(count // 10), *nasty_texts(count)]:
        assert step(text) == list(expected(text)), text


def test_long_texts() -> None:
    step, expected = load_step(state()), words()
    for text in long_texts():
        assert step(text) == list(expected(text))


VOCAB = spacy.blank("xx").vocab
PREFIX, SUFFIX = compile_prefix_regex(["\\(", "-"]), compile_suffix_regex(["\\)", "\\.", "-", "--"])
INFIX, TOKEN, URL = compile_infix_regex(["-", "(?<=a)b", ":"]), re.compile("-b|x-|a\\.\\)"), re.compile("1.*a|ab-")


def check_special_cases(text: str, special_cases: dict[str, tuple[str, ...]]) -> None:
    expected = Tokenizer(
        VOCAB,
        {case: [{"ORTH": token} for token in tokens] for case, tokens in special_cases.items()},
        *(PREFIX.search, SUFFIX.search, INFIX.finditer, TOKEN.match, URL.match),
    )
    patterns = Patterns(*(each.pattern for each in (PREFIX, SUFFIX, INFIX, TOKEN, URL)))
    assert SpacyTokenizer(patterns, special_cases)(text) == [token.text for token in expected(text)]


@pytest.mark.parametrize("text", ["x-)", "(x-)", "-b:", "1:a)", "(ab-a", "a.)", "(a.", "x b", "a-b--", "-ab:a", "b  b"])
@pytest.mark.parametrize("case", ["(a", "a.", "b:", "x b", "b b", "a-b", "--", "  ", "a)"])
def test_special_cases(text: str, case: str) -> None:
    check_special_cases(f"{text} {case}{text}{case} {case}", {case: (case,)})
    check_special_cases(f"{text}{case}\n{text} {case} ", {case: tuple(case), text: (text,)})


@given(st.data())
def test_any_special_cases(data: st.DataObject) -> None:
    """Special cases that overlap, contain blanks and affixes, or occur within each other."""
    cases = data.draw(st.dictionaries(joined(PARTS).filter(bool), st.booleans(), max_size=6))
    text = data.draw(joined([*PARTS, *cases]))
    check_special_cases(text, {case: tuple(case) if split else (case,) for case, split in cases.items()})


def test_no_patterns() -> None:
    tokenizer = SpacyTokenizer(Patterns(None, None, None, None, None), {"a.b": ("a", ".b")})
    assert tokenizer("a.b (a.b) ") == ["a", ".b", "(a.b)"]


def test_a_text_over_the_limit_is_refused() -> None:
    step = load_step({**state(), "max_length": 10})
    assert step("1234567890") == ["1234567890"]
    with pytest.raises(RecordError) as caught:
        step("1234567890 ")
    assert caught.value.code == "text_too_long"


@pytest.mark.parametrize("part", ["()", ":)", "'s", "a:", "ftp://a@b.c:", "…", "() "])
def test_texts_of_affixes_take_limited_time(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """spaCy takes 12 minutes for the first one. Only the last one has white space."""
    monkeypatch.setattr(spacy_tokenizer, "_MAX_WORK", 1_000_000)
    step = load_step(state())
    text = part * (100_000 // len(part))
    start = time.process_time()
    if " " in part:
        assert len(step(text)) == len(text) - text.count(" ")
    else:
        with pytest.raises(RecordError) as caught:
            step(text)
        assert caught.value.code == "text_too_complex"
    assert time.process_time() - start < 5


def test_a_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(RecordError) as caught:
        load_step(state())("half \udc00")
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize(
    "change",
    [
        {"patterns": {}},
        {"patterns": {**dict.fromkeys(["prefix", "suffix", "infix", "token_match"]), "url_match": "("}},
        {"special_cases": {"ab": ["a", "c"]}},
        {"special_cases": {"ab": ["ab", ""]}},
        {"special_cases": {"": []}},
        {"max_length": "1"},
        {"other": 1},
    ],
)
def test_invalid_states(change: dict[str, Any]) -> None:
    with pytest.raises(BundleUnreadable):
        load_step({**state(), **change})
