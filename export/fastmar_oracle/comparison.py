"""Compares an archive's answers with fastai's predictions. Loading the learner runs code in the pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastmar_contract.errors import FastmarError
from fastmar_contract.summary import describe_prediction
from fastmar_oracle.answers import AnswerPair, compare
from fastmar_oracle.learner import load_learner
from fastmar_oracle.modalities import modality
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

TOLERANCE = 1e-5
"""Largest allowed difference of a number, from float32 sums in another order; relative for numbers above 1."""


class AnotherLearner(FastmarError):
    """The archive was not exported from this pickle."""

    code = "another_learner"


class NotComparable(FastmarError):
    """The archive's answers are not those of `learn.predict`, by an option of its export."""

    code = "not_comparable"


_OTHER_ANSWERS = {
    "test_time_augmentation": (
        "--tta",
        "its answers are those of learn.tta with evenly spread numbers, where fastai draws random ones",
    ),
    "reduced_precision": ("--precision", "its network is rounded, and its answers are not those of learn.predict"),
}
"""The option and its effect, by the code of the notice that the export writes."""


class AnswersDiffer(FastmarError):
    """The archive's answer differs from fastai's prediction."""

    code = "answers_differ"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        records: number of compared records.
        golden: how many of them are golden records.
        difference: largest difference of their numbers.
        refused: the archive's errors for the other records.
    """

    records: int
    golden: int
    difference: float
    refused: list[str]


def compare_with_fastai(
    predictor: Predictor,
    learner: Path,
    golden: list[dict[str, Any]],
    data: Sequence[Path] = (),
    *,
    sample: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Comparison:
    """Compare the archive's answers with fastai's predictions, record by record.

    Args:
        predictor: predictor of the archive.
        learner: path of the learner's pickle.
        golden: the archive's golden records.
        data: files with additional records: CSV, or pictures for a picture model.
        sample: maximum number of these records, at equal distances; None for all.
        on_progress: called with the number of records that are done, and of all, before each record.

    Raises:
        FastaiUnavailable: fastai can't load the learner, or can't predict.
        AnotherLearner: the archive was not exported from this pickle.
        NotComparable: the archive was exported with an option that changes its answers.
        AnswersDiffer: a label differs, or a number differs by more than `TOLERANCE`.
    """
    spec = predictor.spec
    oracle = modality(spec.kind)
    records = oracle.read(golden, data, spec)
    _check_same(predictor, learner)
    _check_comparable(spec)
    differences, refused = {}, []
    rows = [*range(len(golden)), *_sample(range(len(golden), len(records)), sample)]
    learn = load_learner(learner)
    answers = predictor.predict([records[row] for row in rows])
    for done, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        on_progress(done, len(rows))
        record = records[row]
        if error := answer.get("error"):
            name = oracle.describe(record, row - len(golden))
            refused.append(f"{name}: {error['message']} Fix: {error['fix']}")
        else:
            pair = compare(answer, oracle.predict(learn, record, spec), spec.decode)
            differences[row] = _difference(str(record), pair, answer)
    compared_golden = sum(row < len(golden) for row in differences)
    return Comparison(len(differences), compared_golden, max(differences.values(), default=0.0), refused)


def _check_comparable(spec: Spec) -> None:
    """Refuse an archive whose answers fastai can't repeat."""
    if found := [_OTHER_ANSWERS[note["code"]] for note in spec.notices if note["code"] in _OTHER_ANSWERS]:
        flags = " and ".join(flag for flag, _ in found)
        raise NotComparable(
            f"the archive was exported with {flags}: {', and '.join(effect for _, effect in found)}.",
            fix=f"compare an archive that is exported without {flags}: it has the same preprocessing and weights. "
            "`fastmar verify` without --learner replays the golden records of this one.",
        )


def _sample(rows: range, size: int | None) -> Sequence[int]:
    """`size` of `rows` at equal distances, from the first to the last; all if there are fewer."""
    if size is None or size >= len(rows):
        return rows
    return [rows[round(at)] for at in np.linspace(0, len(rows) - 1, size)]


def _check_same(predictor: Predictor, learner: Path) -> None:
    """Compare the pickle's hash with the one in the archive's spec."""
    expected = (predictor.spec.provenance or {}).get("pickle", {}).get("sha256")
    try:
        with learner.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AnotherLearner(f"{learner} can't be read ({error.strerror}).", fix="check the path.") from error
    if found != expected:
        raise AnotherLearner(
            f"the archive was not exported from {learner}: the sha256 differs.",
            fix="pass the pickle that the archive was exported from, or export this one.",
        )


def _difference(record: str, pair: AnswerPair, answer: dict[str, Any]) -> float:
    """The largest difference of the numbers, relative for numbers above 1."""
    ours, theirs = pair.ours, pair.theirs
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
    if not difference <= TOLERANCE or not pair.same:
        same = "the same prediction" if pair.same else "another prediction"
        raise AnswersDiffer(
            f"the archive predicts {describe_prediction(answer)} for {record}, and fastai {same}; the numbers differ "
            f"by {difference:.2g} (tolerance {TOLERANCE:g}).",
            fix="report this with the archive's spec.json, and do not deploy the archive.",
        )
    return difference
