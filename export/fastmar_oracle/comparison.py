"""The comparison of an archive's answers with fastai's own. Imports fastai, which runs what is in the pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastmar_contract.errors import FastmarError
from fastmar_contract.summary import describe_prediction
from fastmar_oracle.answers import Sides, compare
from fastmar_oracle.learner import load_learner
from fastmar_oracle.modalities import modality
from fastmar_runtime.predictor import Predictor

TOLERANCE = 1e-5
"""Largest difference of a probability or value: float32 sums in another order. Values over 1 count relatively."""


class AnotherLearner(FastmarError):
    """The pickle is not the one that the archive was made from."""

    code = "another_learner"


class AnswersDiffer(FastmarError):
    """The archive answers otherwise than `learn.predict`."""

    code = "answers_differ"


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of a comparison.

    Attributes:
        records: how many were compared.
        difference: the largest.
        refused: the archive's errors for the others.
    """

    records: int
    difference: float
    refused: list[str]


def compare_with_fastai(
    predictor: Predictor, learner: Path, golden: list[dict[str, Any]], data: Sequence[Path] = ()
) -> Compared:
    """Ask both, record by record.

    Args:
        predictor: of the archive.
        learner: the pickle.
        golden: the archive's own records.
        data: files of further records, CSV, or of pictures where the model reads those.

    Raises:
        FastaiUnavailable: fastai can't load the learner here, or can't answer.
        AnotherLearner: it is not the learner that the archive was made from.
        AnswersDiffer: a label differs, or a number by more than `TOLERANCE`.
    """
    spec = predictor.spec
    asked = modality(spec.kind)
    records = asked.read(golden, data, spec)
    _check_same(predictor, learner)
    learn = load_learner(learner)
    differences, refused = [], []
    for row, (record, answer) in enumerate(zip(records, predictor.predict(records), strict=True)):
        if "error" in answer:
            refused.append(f"{asked.place(record, row - len(golden))}: {answer['error']['message']}")
        else:
            sides = compare(answer, asked.ask(learn, record, spec), spec.decode)
            differences.append(_difference(str(record), sides, answer))
    return Compared(len(differences), max(differences, default=0.0), refused)


def _check_same(predictor: Predictor, learner: Path) -> None:
    """Compare the pickle's hash with the one that the archive remembers."""
    made_from = (predictor.spec.provenance or {}).get("pickle", {}).get("sha256")
    try:
        with learner.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AnotherLearner(f"{learner} can't be read ({error.strerror}).", fix="check the path.") from error
    if found != made_from:
        raise AnotherLearner(
            f"{learner} is not the pickle that the archive was made from: their sha256 differ.",
            fix="give the pickle that it was made from, or export this one.",
        )


def _difference(record: str, sides: Sides, answer: dict[str, Any]) -> float:
    """The largest difference of two answers' numbers, relative where they are above 1."""
    ours, theirs = sides.ours, sides.theirs
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
    if not difference <= TOLERANCE or not sides.same:
        raise _differ(record, describe_prediction(answer), "the same" if sides.same else "otherwise", difference)
    return difference


def _differ(record: str, ours: Any, theirs: Any, difference: float) -> AnswersDiffer:
    return AnswersDiffer(
        f"{record} is answered {ours} here and {theirs} by fastai; "
        f"numbers differ by {difference:.2g} (at most {TOLERANCE:g}).",
        fix="report it with the archive's spec.json; do not deploy the archive.",
    )
