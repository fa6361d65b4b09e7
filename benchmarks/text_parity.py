"""Compares answers of an archive with `learn.predict`, for the learner of `examples.reviews` and thousands of texts.

    python -m benchmarks.text_parity [--texts N]

Each text is sent alone, and in batches of texts of mixed lengths. Prints for each kind of texts and each size of the
batches: the answers, the refused texts, those with another label or too large a difference, and the largest difference
of a probability. Exits with 1 if there are any refused or different ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from examples.reviews import SOURCES, TEXT, benchmark_model, sentences
from rich.console import Console
from rich.table import Table

from benchmarks.texts import long_texts, marks, nasty_texts
from fastmar_export.exporter import Options, export_learner
from fastmar_oracle.answers import Prediction, compare
from fastmar_oracle.comparison import TOLERANCE
from fastmar_oracle.learner import load_learner, predict
from fastmar_runtime.predictor import Predictor

BATCHES = (1, 7, 32)
_SEED = 3


@dataclass(slots=True)
class Differences:
    """The result for some texts.

    Attributes:
        answers: number of compared answers.
        refused: the codes of errors of the other texts.
        wrong: texts with another label, or a larger difference than the tolerance.
        largest: largest difference of a probability.
    """

    answers: int = 0
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    largest: float = 0.0

    def add(self, text: str, answer: dict[str, Any], expected: Prediction, decode: dict[str, Any]) -> None:
        if "error" in answer:
            self.refused.append(answer["error"]["code"])
            return
        pair = compare(answer, expected, decode)
        difference = float(np.max(np.abs(pair.ours - pair.theirs)))
        self.answers += 1
        self.largest = max(self.largest, difference)
        if not pair.same or not difference <= TOLERANCE:  # also NaN
            self.wrong.append(text)


def differences(predictor: Predictor, texts: Sequence[str], expected: dict[str, Prediction], batch: int) -> Differences:
    """Compare the answers to `texts`, in batches of `batch` texts, with the `expected` predictions of each."""
    found = Differences()
    for start in range(0, len(texts), batch):
        sent = texts[start : start + batch]
        for text, answer in zip(sent, predictor.predict(sent), strict=True):
            found.add(text, answer, expected[text], predictor.spec.decode)
    return found


def _corpora(count: int) -> dict[str, list[str]]:
    real = [text for source in SOURCES for text in sentences(source)[TEXT].sample(count // 4, random_state=_SEED)]
    return {
        "sentences": real,
        "generated": nasty_texts(count),
        "fastai's marks": marks(count // 4),
        "100,000 characters": long_texts(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000, help="number of sentences, and of generated texts")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = benchmark_model()
    learn = load_learner(model.learner)
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor.open(export_learner(model.learner, Options("model", output=Path(folder))).path)
    corpora = _corpora(options.texts)
    every = [text for texts in corpora.values() for text in texts]
    Random(_SEED).shuffle(every)
    corpora["all, shuffled"] = every
    expected = {text: predict(learn, text) for text in dict.fromkeys(every)}
    table = Table("texts", "batch", "answers", "refused", "wrong", "largest difference")
    failed = False
    for name, texts in corpora.items():
        for batch in BATCHES:
            found = differences(predictor, texts, expected, batch)
            failed |= bool(found.refused or found.wrong)
            refused = ", ".join(sorted(set(found.refused)))
            table.add_row(
                name, str(batch), f"{found.answers:,}", f"{len(found.refused)} {refused}", str(len(found.wrong)),
                f"{found.largest:.1e}",
            )  # fmt: skip
            for text in found.wrong[:3]:
                print(f"{name}, batches of {batch}: {text[:200]!r}")
    Console(width=120).print(table)
    return failed


if __name__ == "__main__":
    sys.exit(main())
