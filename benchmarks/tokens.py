"""Compares the tokens and the speed of the runtime with fastai's, on thousands of texts.

    python -m benchmarks.tokens [--texts N] [--languages en de ...]

The tokenizers go through a pickle and the export's converters, as in an exported learner. Prints for each the texts,
those with different tokens, and microseconds per text. Sentences are those of `examples.reviews`: films, products,
news and tweets.
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from examples.reviews import SOURCES, TEXT, sentences
from rich.console import Console
from rich.table import Table

from benchmarks.texts import long_texts, nasty_texts, real_texts
from fastmar_export.modalities.text.pipeline import text_steps
from fastmar_export.reader import read_torch_file
from fastmar_runtime.steps import load_step

LANGUAGES = """af am ar az bg bn bo ca cs da de dsb el en es et eu fa fi fo fr ga gd grc gu he hi hr hsb ht hu hy id is
it kmr kn ky la lb lg lij lt lv mk ml mr ms nb ne nl nn pl pt ro ru sa si sk sl sq sr sv ta te ti tl tn tr tt uk ur xx
yo""".split()  # noqa: SIM905
"""spaCy's languages whose tokenizer is the rule-based one."""

_ALL_TEXTS = ("en", "de", "es", "fr")  # languages whose rules are compared on all texts, whatever their language
_PROTOCOL = 2  # as `learn.export`
Tokenize = Callable[[str], Any]


def states_of(transforms: list[Any], pickle_module: Any = pickle) -> tuple[dict[str, Any], ...]:
    """The states of the steps that the export makes of `transforms`, which are written to a pickle and read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transforms.pkl"
        torch.save(transforms, path, pickle_module=pickle_module, pickle_protocol=_PROTOCOL)
        return text_steps(read_torch_file(path).root, "tfms")


def tokenize_with(states: Sequence[dict[str, Any]]) -> Tokenize:
    """A function that runs the steps of `states` before `numericalize`."""
    steps = [load_step(state) for state in states if state["step"] != "numericalize"]

    def tokenize(text: str) -> Any:
        value: Any = text
        for step in steps:
            value = step(value)
        return value

    return tokenize


def fastai_words(language: str, **options: Any) -> Any:
    """fastai's Tokenizer with spaCy's words of a language."""
    from fastai.text.core import SpacyTokenizer, Tokenizer  # noqa: PLC0415 - slow

    return Tokenizer(SpacyTokenizer(language), **options)


def fastai_subwords(texts: Sequence[str], folder: Path, **options: Any) -> Any:
    """fastai's Tokenizer with a SentencePiece model that is trained on `texts`."""
    from fastai.text.core import SubwordTokenizer, Tokenizer  # noqa: PLC0415 - slow

    trainer = SubwordTokenizer(cache_dir=folder, **options)
    lines = folder / "texts.txt"  # SentencePiece reads a text a line
    lines.write_text("\n".join(" ".join(text.split()) for text in texts), "utf-8")
    return Tokenizer(SubwordTokenizer(cache_dir=folder, sp_model=trainer.train(lines)))


def example_sentences(language: str) -> list[str]:
    """spaCy's example sentences of a language."""
    try:
        return list(importlib.import_module(f"spacy.lang.{language}.examples").sentences)
    except ModuleNotFoundError:
        return []


def compare(tokenizer: Any, texts: Sequence[str]) -> tuple[list[str], float, float]:
    """The texts with different tokens, and seconds of fastmar and of fastai for all texts."""
    from fastai.text.data import Numericalize  # noqa: PLC0415 - slow

    ours = tokenize_with(states_of([tokenizer, Numericalize(["xxunk"])]))
    start = time.perf_counter()
    found = [ours(text) for text in texts]
    middle = time.perf_counter()
    expected = [list(tokenizer(text)) for text in texts]
    end = time.perf_counter()
    different = [text for text, a, b in zip(texts, found, expected, strict=True) if a != b]
    return different, middle - start, end - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=5000, help="number of real texts, and of generated ones")
    parser.add_argument("--languages", nargs="*", default=LANGUAGES, help="spaCy's codes of languages")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    corpora = {
        "sentences": [text for source in SOURCES for text in sentences(source)[TEXT]],
        "documentation": real_texts(options.texts),
        "generated": nasty_texts(options.texts),
        "100,000 characters": long_texts(),
    }
    table = Table("tokenizer", "texts", "number", "different", "µs per text", "fastai")

    def report(name: str, corpus: str, tokenizer: Any, texts: Sequence[str]) -> None:
        different, ours, fastai = compare(tokenizer, texts)
        each = 1e6 / max(len(texts), 1)
        table.add_row(
            name, corpus, f"{len(texts):,}", str(len(different)), f"{ours * each:,.0f}", f"{fastai * each:,.0f}"
        )
        for text in different[:3]:
            print(f"{name}, {corpus}: {text[:200]!r}")

    from fastai.text.core import BaseTokenizer, Tokenizer  # noqa: PLC0415 - slow

    with tempfile.TemporaryDirectory() as folder:
        tokenizers = {
            **{f"spaCy {language}": fastai_words(language) for language in _ALL_TEXTS},
            "SentencePiece": fastai_subwords(corpora["sentences"], Path(folder)),
            "split": Tokenizer(BaseTokenizer()),
        }
    for name, tokenizer in tokenizers.items():
        for corpus, texts in corpora.items():
            report(name, corpus, tokenizer, texts)
    generated = corpora["generated"][: max(1, options.texts // 10)]
    for language in options.languages:
        report(f"spaCy {language}", "examples", fastai_words(language), example_sentences(language) + generated)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
