"""The text learner of the benchmarks: a full-size AWD_LSTM. It is cached in `.build/long_texts`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from examples import flights, reviews
from examples.caching import cached_folder

from fastmar_export.exporter import Options, export_learner

CACHE = Path(__file__).resolve().parents[1] / ".build" / "long_texts"
COUNT = 16
WORDS = 300  # of a text
CLASSES = 2
SCALE = 1.5  # of the weights: with fastai's initial weights all texts get nearly the same answer
SEED = 13
ABOUT = (
    f"AWD_LSTM in fastai's size (400, 1152, 3 layers), {CLASSES} classes. Its weights are random: its answers have no "
    f"meaning, but must be equal. The {COUNT} texts are sentences of film reviews, of about {WORDS} words."
)


def benchmark_model() -> reviews.BenchmarkModel:
    """The learner with its texts and answers; made on the first call."""
    folder = cached_folder(CACHE, _make)
    answers = json.loads((folder / "answers.json").read_text("utf-8"))
    return reviews.BenchmarkModel(folder / "learner.pkl", list(answers), list(answers.values()))


def export_int8(model: reviews.BenchmarkModel, store: Path) -> Path:
    """Export the learner with LSTM layers in int8 to `store`, whatever the change of its answers."""
    store.mkdir()
    pd.DataFrame({reviews.TEXT: model.texts}).to_csv(store / "texts.csv", index=False)
    options = {"precision": "int8", "reference": store / "texts.csv", "max_changed": 1.0}
    export_learner(model.learner, Options(flights.NAME, output=store, **options))
    return store


def _texts(sentences: pd.Series) -> list[str]:
    """Sentences, joined until a text has `WORDS` words."""
    texts, words = [""], 0
    for sentence in sentences:
        if words >= WORDS:
            texts, words = [*texts, ""], 0
            if len(texts) > COUNT:
                break
        texts[-1] += f"{sentence} "
        words += len(sentence.split())
    return texts[:COUNT]


def _make(folder: Path) -> None:
    import torch  # noqa: PLC0415 - slow to import
    from fastai.text.all import AWD_LSTM, TextDataLoaders, set_seed, text_classifier_learner  # noqa: PLC0415

    print("Making the learner of long texts (once; it is cached in .build/long_texts) ...", flush=True)
    df = reviews.table()
    set_seed(SEED, reproducible=True)
    columns = {"text_col": reviews.TEXT, "label_col": reviews.TARGET}
    loaders = TextDataLoaders.from_df(df, path=folder, valid_pct=0.1, seed=SEED, bs=64, num_workers=0, **columns)
    learn = text_classifier_learner(loaders, AWD_LSTM, pretrained=False, path=folder)
    with torch.no_grad():
        for parameter in learn.model.parameters():
            parameter.mul_(SCALE)
    learn.model.reset()
    with learn.no_bar(), learn.no_logging():
        learn.export("learner.pkl")
        answers = {text: reviews.predict(learn, text) for text in _texts(df[reviews.TEXT])}
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")
