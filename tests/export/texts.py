"""Small learners of texts for tests, with random weights that make answers differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import ColReader, RandomSplitter
from fastai.text.data import TextBlock
from fastai.text.learner import text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config

ROWS = 120
_SEED = 5
_SCALE = 2.0  # of the weights: with fastai's initial weights all texts get nearly the same answer
_WORDS = (
    "the a film was really GOOD bad great Terrible acting plot and but I liked hated it very much not n't story music "
    "don't watch 10/10 boring fun!!! slow, brilliant . ? soooo"
)
CONFIG = {**awd_lstm_clas_config, "emb_sz": 20, "n_hid": 24, "n_layers": 2}


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


@dataclass(frozen=True)
class Case:
    """A learner.

    Attributes:
        block: the text block; it is called when the learner is made.
        target: block of the target.
        column: of the target.
        learner: arguments of `text_classifier_learner`.
    """

    block: Callable[[], TextBlock] = lambda: TextBlock.from_df("text", min_freq=1)
    target: Any = CategoryBlock
    column: Any = field(default_factory=lambda: ColReader("label"))
    learner: dict[str, Any] = field(default_factory=dict)


CASES = {
    "one label": Case(),
    "several labels": Case(target=MultiCategoryBlock, column=ColReader("labels", label_delim=" ")),
    "regression": Case(target=RegressionBlock, column=ColReader("stars"), learner={"y_range": (0, 6)}),
    "two columns": Case(block=lambda: TextBlock.from_df(["title", "text"], min_freq=1)),
    "backwards": Case(block=lambda: TextBlock.from_df("text", min_freq=1, backwards=True)),
    "short maximum": Case(learner={"max_len": 100, "seq_len": 24}),
}


def make_learner(case: Case) -> Any:
    """An exportable learner."""
    torch.manual_seed(_SEED)
    block = DataBlock(
        (case.block(), case.target), get_x=ColReader("text"), get_y=case.column, splitter=RandomSplitter(0.2, seed=1)
    )
    loaders = block.dataloaders(reviews(), bs=8, num_workers=0)
    learn = text_classifier_learner(loaders, AWD_LSTM, config=dict(CONFIG), pretrained=False, **case.learner)
    with torch.no_grad():
        for parameter in learn.model.parameters():
            parameter.mul_(_SCALE)
    learn.model.reset()
    return learn
