"""Transforms of texts from pickles: the ids of the steps equal those of fastai's transforms."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import torch
from benchmarks.texts import nasty_texts, real_texts
from benchmarks.tokens import fastai_subwords, states_of
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import ColReader
from fastai.text.core import BaseTokenizer, SpacyTokenizer, Tokenizer, lowercase
from fastai.text.data import Numericalize, TextBlock, reverse_text
from fasttransform import Pipeline, Transform
from tests.export.records import record

from fastmar_export.errors import ExportError, UnsupportedLearner, UnsupportedTransform
from fastmar_export.learner import transforms
from fastmar_export.modalities.text.pipeline import text_steps
from fastmar_export.reader import Global, Record, read_torch_file
from fastmar_runtime.steps import load_step

PICKLES = pytest.mark.parametrize("pickle_module", [pickle, cloudpickle])
TEXTS = [*real_texts(100), *nasty_texts(200)]
VOCAB = ["xxunk", "xxpad", "xxbos", "xxmaj", "xxup", "xxrep", "xxwrep", "the", "a", "of", "to", "is", ".", ",", "\n"]


def ids(states: Any, texts: list[Any]) -> list[list[int]]:
    values = texts
    for step in map(load_step, states):
        values = [step(value) for value in values]
    return [value.tolist() for value in values]


def fastai_ids(pipeline: Any, texts: list[str]) -> list[list[int]]:
    return [pipeline(text).tolist() for text in texts]


def set_up(numericalize: Any, tokenizer: Any, texts: list[str]) -> Any:
    numericalize.setups([tokenizer(text) for text in texts])
    return numericalize


@pytest.fixture(scope="module")
def words() -> Any:
    return SpacyTokenizer()


@PICKLES
def test_words(words: Any, pickle_module: Any) -> None:
    tokenizer = Tokenizer(words)
    fastai = Pipeline([tokenizer, set_up(Numericalize(), tokenizer, TEXTS[:50])])
    fastai("unknown words")  # adds them to the dict
    states = states_of(list(fastai.fs), pickle_module)
    assert [state["step"] for state in states] == ["text_rules", "spacy_tokens", "numericalize"]
    assert states[-1]["vocab"][0] == "xxunk"
    assert ids(states, TEXTS) == fastai_ids(fastai, TEXTS)


@PICKLES
def test_subwords(tmp_path: Path, pickle_module: Any) -> None:
    tokenizer = fastai_subwords(TEXTS, tmp_path, vocab_sz=700)
    fastai = Pipeline([tokenizer, set_up(Numericalize(min_freq=1), tokenizer, TEXTS)])
    states = states_of(list(fastai.fs), pickle_module)
    assert [state["step"] for state in states] == ["text_rules", "sentencepiece_tokens", "numericalize"]
    assert ids(states, TEXTS) == fastai_ids(fastai, TEXTS)


@PICKLES
def test_words_between_blanks_backwards(pickle_module: Any) -> None:
    rules = [partial(lowercase, add_eos=True), partial(lowercase, add_eos=True)]
    fastai = Pipeline([Tokenizer(BaseTokenizer("a"), rules=rules), Numericalize(VOCAB * 2), Transform(reverse_text)])
    states = states_of(list(fastai.fs), pickle_module)
    assert [state["step"] for state in states] == ["text_rules", "split_tokens", "numericalize", "reverse_ids"]
    assert ids(states, TEXTS) == fastai_ids(fastai, TEXTS)


@pytest.mark.parametrize("options", [{}, {"mark_fields": False}])
def test_several_columns(words: Any, options: dict[str, bool]) -> None:
    """The joined text has the ids with which fastai trains."""
    table = pd.DataFrame({"title": ["A title", "b"], "body": ["The text!", "c d"], "label": ["x", "y"]})
    block = TextBlock.from_df(["title", "body"], tok=words, min_freq=1, n_workers=0, **options)
    blocks = DataBlock((block, CategoryBlock), get_x=ColReader("text"), get_y=ColReader("label"))
    dataset = blocks.datasets(table)
    states = states_of(list(dataset.tls[0].tfms.fs))
    assert states[0] == {"step": "join_texts", "columns": ["title", "body"], "mark_fields": not options}
    assert ids(states, table.to_dict("records")) == fastai_ids(dataset.tls[0].tfms[-1], list(dataset.items["text"]))


def test_getters_before_the_tokenizer_are_dropped(words: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["one", "two"], "label": ["x", "y"]})
    blocks = DataBlock((TextBlock.from_df("text", tok=words, n_workers=0), CategoryBlock), get_x=ColReader("text"),
                       get_y=ColReader("label"))  # fmt: skip
    path = tmp_path / "list.pkl"
    torch.save(blocks.datasets(table).tls[0], path, pickle_module=cloudpickle, pickle_protocol=2)
    found = read_torch_file(path).root
    states = text_steps(transforms(found.get("tfms")), "tfms", found.get("types"))
    assert [state["step"] for state in states] == ["text_rules", "spacy_tokens", "numericalize"]


def refusal(*given: Any, types: Any = ()) -> str:
    with pytest.raises(ExportError) as caught:
        text_steps(given, "dls.tls[0].tfms", types)
    assert isinstance(caught.value, UnsupportedTransform | UnsupportedLearner)
    return caught.value.code


def tokenizer_record(tok: Any = None, **attributes: Any) -> Record:
    tok = record("fastai.text.core.BaseTokenizer") if tok is None else tok
    return record("fastai.text.core.Tokenizer", **{"tok": tok, "rules": []} | attributes)


def numericalize_record(**attributes: Any) -> Record:
    return record("fastai.text.data.Numericalize", **{"vocab": ["a"], "o2i": {"a": 0}} | attributes)


def partial_record(function: Any, *args: Any, **kwargs: Any) -> Record:
    return Record(Global("functools", "partial"), (function,), state=(function, args, kwargs, None))


LOWERCASE = Global("fastai.text.core", "lowercase")


def test_refusals() -> None:
    tokenizer, numericalize = tokenizer_record(), numericalize_record()
    assert len(text_steps([tokenizer, numericalize], "tfms")) == 3
    assert refusal(numericalize) == "no_tokenizer"
    assert refusal(tokenizer) == "no_numericalize"
    assert refusal(tokenizer, tokenizer, numericalize) == "several_tokenizers"
    assert refusal(tokenizer, numericalize, record("my.Change")) == "unsupported_transform"
    assert refusal(tokenizer_record(split_idx=0), numericalize) == "instance_attribute"
    assert refusal(tokenizer, numericalize_record(encodes=1)) == "instance_attribute"
    strings = [(Global("builtins", "str"),)]
    assert refusal(record("my.clean"), tokenizer, numericalize, types=strings) == "text_transform"
    assert len(text_steps([tokenizer, numericalize], "tfms", strings)) == 3
    noop = record("fasttransform.transform.Transform", encodes=Global("fastai.imports", "noop"))
    assert len(text_steps([noop, tokenizer, numericalize], "tfms", strings)) == 3


def test_refused_vocabularies() -> None:
    for attributes in ({"o2i": None}, {"o2i": {"a": 1}}, {"o2i": {1: 0}}, {"o2i": {"a": True}}):
        assert refusal(tokenizer_record(), numericalize_record(**attributes)) == "unsupported_transform"


def test_refused_columns() -> None:
    assert refusal(tokenizer_record(text_cols=[0, 1]), numericalize_record()) == "unnamed_text_columns"


@pytest.mark.parametrize(
    "rule",
    [
        Global("my.rules", "fix_html"),
        Global("fastai.text.core", "tokenize1"),
        Record(Global("cloudpickle.cloudpickle", "_make_function")),
        partial_record(Global("my.rules", "rule"), 1),
        partial_record(Global("fastai.text.core", "fix_html"), 1),
        partial_record(LOWERCASE, True, True, True),
        partial_record(LOWERCASE, upper=True),
        Record(LOWERCASE),
        Record(Global("functools", "partial"), (LOWERCASE,), state=(LOWERCASE, [], {}, None)),
    ],
)
def test_refused_rules(rule: Any) -> None:
    assert refusal(tokenizer_record(rules=[rule]), numericalize_record()) == "unknown_rule"


def test_lowercase_twice_with_different_options_is_refused() -> None:
    rules = [LOWERCASE, partial_record(LOWERCASE, False)]
    assert refusal(tokenizer_record(rules=rules), numericalize_record()) == "unknown_rule"
    rules = [LOWERCASE, partial_record(LOWERCASE, add_eos=True)]
    assert refusal(tokenizer_record(rules=rules), numericalize_record()) == "unknown_rule"


def test_refused_tokenizers() -> None:
    subword = "fastai.text.core.SentencePieceTokenizer"
    processor = record("sentencepiece.SentencePieceProcessor", model_proto=b"x", _add_bos=True)
    for tok, code in (
        (record("my.Words"), "unsupported_transform"),
        (record("fastai.text.core.BaseTokenizer", split_char=""), "unsupported_transform"),
        (record(subword, tok=None), "untrained_tokenizer"),
        (record(subword, tok=processor), "unsupported_tokenizer"),
    ):
        assert refusal(tokenizer_record(tok), numericalize_record()) == code


def test_models_in_pickles_of_older_sentencepiece() -> None:
    processor = Record(Global("sentencepiece", "SentencePieceProcessor"), is_instance=True, state=b"model")
    tok = record("fastai.text.core.SentencePieceTokenizer", tok=processor)
    state = text_steps([tokenizer_record(tok), numericalize_record()], "tfms")[1]
    assert state == {"step": "sentencepiece_tokens", "model": "bW9kZWw="}


def spacy_record(language: Any, method: str = "pipe") -> Record:
    pipe = Record(Global("builtins", "getattr"), (language, method))
    return tokenizer_record(record("fastai.text.core.SpacyTokenizer", pipe=pipe))


def compiled(pattern: Any, flags: Any, method: str) -> Record:
    return Record(Global("builtins", "getattr"), (Record(Global("re", "_compile"), (pattern, flags)), method))


def spacy_tokenizer(rules: Any, *patterns: Any) -> Record:
    return Record(Global("spacy.tokenizer", "Tokenizer"), (None, rules, *patterns))


def test_flags_of_patterns_and_missing_patterns() -> None:
    """Older versions of spaCy have fewer patterns."""
    tokenizer = spacy_tokenizer(
        {"ab": [{65: "a"}, {"ORTH": "b"}], "abc": [{"orth": "abc", 67: "c"}]}, None, compiled("x$", 34, "search")
    )
    language = record("spacy.lang.en.English", tokenizer=tokenizer)
    state = text_steps([spacy_record(language), numericalize_record()], "tfms")[1]
    empty = dict.fromkeys(("prefix", "infix", "token_match", "url_match"))
    assert state["patterns"] == {"suffix": "(?i)x$", **empty}
    assert (state["special_cases"], state["max_length"]) == ({"ab": ["a", "b"], "abc": ["abc"]}, 1_000_000)
    assert load_step(state)("abcX abX") == ["abc", "X", "a", "b", "X"]


@pytest.mark.parametrize(
    ("tokenizer", "attributes"),
    [
        (record("spacy.lang.ja.JapaneseTokenizer"), {}),
        (spacy_tokenizer({}, Global("my", "search")), {}),
        (spacy_tokenizer({}, compiled("a", 0, "match")), {}),
        (spacy_tokenizer({}, compiled(b"a", 0, "search")), {}),
        (spacy_tokenizer({"ab": [{65: "a"}]}), {}),
        (spacy_tokenizer({"ab": [{65: "ab"}, {65: ""}]}), {}),
        (spacy_tokenizer({"ab": [65]}), {}),
        (spacy_tokenizer({}), {"max_length": "1"}),
        (spacy_tokenizer({}), {"_components": [("merge", None)]}),
    ],
)
def test_refused_languages(tokenizer: Record, attributes: dict[str, Any]) -> None:
    language = record("spacy.lang.xx.Language", tokenizer=tokenizer, **attributes)
    assert refusal(spacy_record(language), numericalize_record()) == "unsupported_tokenizer"


def test_refused_pipes() -> None:
    language = record("spacy.lang.xx.Language", tokenizer=spacy_tokenizer({}))
    assert len(text_steps([spacy_record(language), numericalize_record()], "tfms")) == 3
    assert refusal(spacy_record(language, "make_doc"), numericalize_record()) == "unsupported_tokenizer"
    mine = record("my.Language", tokenizer=spacy_tokenizer({}))
    assert refusal(spacy_record(mine), numericalize_record()) == "unsupported_tokenizer"
    bound = Record(Record(Global("cloudpickle.cloudpickle", "_builtin_type"), ("MethodType",)),
                   (Global("my.Language", "pipe"), language))  # fmt: skip
    for pipe in (Global("my", "pipe"), bound):
        function = tokenizer_record(record("fastai.text.core.SpacyTokenizer", pipe=pipe))
        assert refusal(function, numericalize_record()) == "unsupported_tokenizer"
