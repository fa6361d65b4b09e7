"""The rules of texts equal fastai's, on texts of all kinds; no difference is tolerated."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from benchmarks.texts import long_texts, nasty_texts, real_texts
from fastai.text import core
from fastcore.basics import compose
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.errors import RecordError
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step
from fastmar_runtime.text.rules import LOWERCASE, RULES

DEFAULT = [rule.__name__ for rule in core.defaults.text_proc_rules]
TEXTS = st.text(st.sampled_from("aAbB12 \n\t/#\\!.&;<>'\"@-çÉßİǅ…\u00a0\x1c"), max_size=40) | st.text(max_size=20)


def rules_step(rules: list[str], **options: bool) -> Any:
    return load_step({"step": "text_rules", "rules": rules, **options})


def test_every_rule_of_fastai_is_known() -> None:
    assert {*DEFAULT, "replace_space"} == {*RULES, LOWERCASE}


def test_default_rules() -> None:
    step, expected = rules_step(DEFAULT), compose(*core.defaults.text_proc_rules)
    for text in [*real_texts(300), *nasty_texts(2000), *long_texts()]:
        assert step(text) == expected(text)


@given(TEXTS)
def test_each_rule_alone(text: str) -> None:
    for name in [*RULES, LOWERCASE]:
        assert rules_step([name])(text) == getattr(core, name)(text), name


@pytest.mark.parametrize("add_bos", [True, False])
@pytest.mark.parametrize("add_eos", [True, False])
def test_options_of_lowercase(add_bos: bool, add_eos: bool) -> None:
    expected = partial(core.lowercase, add_bos=add_bos, add_eos=add_eos)
    for text in ("", " Two Words ", "ΑΣ"):
        assert rules_step(["lowercase"], add_bos=add_bos, add_eos=add_eos)(text) == expected(text)


def test_the_time_grows_with_the_length_not_with_its_square() -> None:
    texts = ["AB" * 50_000 + "c", "a" + " " * 100_000 + "a", "a " * 50_000 + "ab", "&" * 100_000, "aaB" * 33_000]
    start = time.process_time()
    for text in texts:
        rules_step(DEFAULT)(text)
    assert time.process_time() - start < 5  # 5 minutes with fastai's expression for words in capitals


def test_a_character_reference_that_is_too_long() -> None:
    text = f"&#{'9' * 5000};"
    with pytest.raises(ValueError, match="4300 digits"):
        core.fix_html(text)
    with pytest.raises(RecordError) as caught:
        rules_step(["fix_html"])(text)
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize("state", [{}, {"rules": ["my_rule"]}, {"rules": "fix_html"}, {"rules": [], "add_bos": 1}])
def test_invalid_states(state: dict[str, Any]) -> None:
    with pytest.raises(BundleUnreadable):
        load_step({"step": "text_rules", **state})
