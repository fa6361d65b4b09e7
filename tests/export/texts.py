"""Small text learners for tests, with random weights that make answers differ."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fastai.text.core import SubwordTokenizer, _join_texts
from fastai.text.data import TextBlock, TextDataLoaders
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config, awd_lstm_lm_config

ROWS = 120
_SEED = 5
_SCALE = 2.0  # of the weights: with fastai's initial weights all texts get nearly the same answer
_LANGUAGE_SCALE = 3.0
_WORDS = (
    "the a film was really GOOD bad great Terrible acting plot and but I liked hated it very much not n't story music "
    "don't watch 10/10 boring fun!!! slow, brilliant . ? soooo"
)
NASTY = (
    "",
    " \n\t ",
    "AT&amp;T <br /> it&#39;s #36; GREAT!!!!!! soooooo ha ha ha ha ha",
    "xxbos xxpad xxunk xxmaj literal tokens",
    "xxpad " * 80,
    "\u05e9\u05dc\u05d5\u05dd \u4f60\u597d \U0001f468\u200d\U0001f469\u200d\U0001f467 :-)) ;-P http://a.b/c?d=e#f",
    "word film " * 300,
)
_SIZES = {"emb_sz": 20, "n_hid": 24, "n_layers": 2}
CONFIG = {**awd_lstm_clas_config, **_SIZES}
LANGUAGE_CONFIG = {**awd_lstm_lm_config, **_SIZES}


def reviews() -> pd.DataFrame:
    """Columns ``title``, ``text``, ``label``, ``labels`` (separated by spaces) and ``stars``."""
    generator = np.random.default_rng(_SEED)

    def words(low: int, high: int) -> str:
        return " ".join(generator.choice(_WORDS.split(), generator.integers(low, high)))

    return pd.DataFrame(
        {
            "title": [words(1, 6) for _ in range(ROWS)],
            "text": [words(3, 120) for _ in range(ROWS)],
            "label": generator.choice(["negative", "positive", "mixed"], ROWS),
            "labels": generator.choice(["long", "funny", "long funny", "sad"], ROWS),
            "stars": generator.uniform(1, 5, ROWS),
        }
    )


def make_block(*columns: str, **options: Any) -> TextBlock:
    """The text block of a table with these columns, or with the column ``text``."""
    return TextBlock.from_df(list(columns) or "text", min_freq=1, **options)


def subwords(**options: Any) -> TextBlock:
    """SentencePiece keeps its model in a folder, and in the pickle."""
    return make_block(tok=SubwordTokenizer(cache_dir=tempfile.mkdtemp(), vocab_sz=60), **options)


def _from_folder() -> Any:
    root = Path(tempfile.mkdtemp(), "reviews")
    for row, review in reviews().iterrows():
        path = root / review["label"] / f"{row}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(review["text"], "utf-8")
    return TextDataLoaders.from_folder(root, valid_pct=0.2, seed=1, bs=8, num_workers=0, n_workers=1)


def _from_df(**options: Any) -> Callable[[], Any]:
    return lambda: TextDataLoaders.from_df(
        reviews(), text_col="text", valid_pct=0.2, seed=1, bs=8, num_workers=0, **options
    )


@dataclass(frozen=True)
class Case:
    """A learner.

    Attributes:
        block: makes the text block.
        target: block of the target.
        column: of the target.
        loaders: makes the loaders instead of the blocks.
        learner: arguments of `text_classifier_learner`.
        columns: names of the columns of a record.
    """

    block: Callable[[], TextBlock] = make_block
    target: Any = CategoryBlock
    column: Any = field(default_factory=lambda: ColReader("label"))
    loaders: Callable[[], Any] | None = None
    learner: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ("text",)


CASES = {
    "one label": Case(),
    "several labels": Case(target=MultiCategoryBlock, column=ColReader("labels", label_delim=" ")),
    "regression": Case(target=RegressionBlock, column=ColReader("stars"), learner={"y_range": (0, 6)}),
    "two columns": Case(block=lambda: make_block("title", "text"), columns=("title", "text")),
    "backwards": Case(block=lambda: make_block(backwards=True)),
    "short maximum": Case(learner={"max_len": 100, "seq_len": 24}),
    "SentencePiece": Case(block=subwords),
    "from_folder": Case(loaders=_from_folder),
    "from_df": Case(loaders=_from_df(label_col="label")),
    "from_df, several labels": Case(loaders=_from_df(label_col="labels", label_delim=" ", y_block=MultiCategoryBlock)),
    "SentencePiece backwards": Case(block=lambda: subwords(backwards=True)),
}


def make_learner(case: Case) -> Any:
    """An exportable learner."""
    torch.manual_seed(_SEED)
    loaders = case.loaders() if case.loaders else _loaders(case)
    learn = text_classifier_learner(loaders, AWD_LSTM, config=dict(CONFIG), pretrained=False, **case.learner)
    with torch.no_grad():
        for parameter in learn.model.parameters():
            parameter.mul_(_SCALE)
    learn.model.reset()
    return learn


def make_language_model(block: TextBlock, **config: Any) -> Any:
    """An exportable language model; `config` replaces parts of `LANGUAGE_CONFIG`."""
    torch.manual_seed(_SEED)
    data = DataBlock(block, get_x=ColReader("text"), splitter=RandomSplitter(0.2, seed=1))
    loaders = data.dataloaders(reviews(), bs=8, seq_len=24, num_workers=0)
    learn = language_model_learner(loaders, AWD_LSTM, config={**LANGUAGE_CONFIG, **config}, pretrained=False)
    with torch.no_grad():
        for parameter in learn.model.parameters():
            parameter.mul_(_LANGUAGE_SCALE)
    learn.model.reset()
    return learn


def _loaders(case: Case) -> Any:
    block = DataBlock(
        (case.block(), case.target), get_x=ColReader("text"), get_y=case.column, splitter=RandomSplitter(0.2, seed=1)
    )
    return block.dataloaders(reviews(), bs=8, num_workers=0)


def records(case: Case) -> list[dict[str, str]]:
    """Reviews and texts with unusual characters."""
    texts = [*reviews()["text"][:20], *NASTY]
    return [dict(zip(case.columns, columns, strict=False)) for columns in zip(texts, texts[::-1], strict=True)]


def fastai_text(record: dict[str, str]) -> str:
    """The argument of `learn.predict` for a record: several columns are joined as in training."""
    texts = list(record.values())
    return texts[0] if len(texts) == 1 else str(_join_texts(pd.DataFrame([texts]), True)[0])
