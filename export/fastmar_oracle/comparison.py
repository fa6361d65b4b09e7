"""fastai's own answers, to compare an archive's with. Imports fastai, which runs what is in the pickle."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fastmar_contract.errors import FastmarError
from fastmar_contract.files import read_input
from fastmar_contract.summary import prediction
from fastmar_oracle.answers import Prediction, Sides, compare
from fastmar_runtime import payload
from fastmar_runtime.columns import gather
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.report import Report
from fastmar_runtime.spec import VISION
from fastmar_runtime.steps.add_datepart import from_state

TOLERANCE = 1e-5
"""Largest difference of a probability or value: float32 sums in another order. Values over 1 count relatively."""


class FastaiUnavailable(FastmarError):
    """fastai is not installed here, or can't load the pickle."""

    code = "fastai_unavailable"


class AnotherLearner(FastmarError):
    """The pickle is not the one that the archive was made from."""

    code = "another_learner"


class AnswersDiffer(FastmarError):
    """The archive answers otherwise than `learn.predict`."""

    code = "answers_differ"


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a comparison.

    Attributes:
        records: how many were compared.
        difference: the largest.
        refused: why the others could not be: fastai fails on such records, or answers NaN.
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
    if predictor.spec.kind == VISION:
        return _compare_pictures(predictor, learner, golden, data)
    records = list(golden)
    for path in data:
        records += payload.read(*read_input(str(path)), predictor.spec).records
    _check_same(predictor, learner)
    learn = load_learner(learner)
    largest, compared = 0.0, 0
    refused = []
    for record, ours in zip(records, predictor.predict(records), strict=True):
        if "error" not in ours:
            theirs = ask_fastai(learn, as_row(predictor, record))
            largest = max(largest, _difference(str(record), compare(ours, theirs, predictor.spec.decode), ours))
            compared += 1
        else:
            refused.append(f"record {ours['error']['record'] - len(golden)}: {ours['error']['message']}")
    return Compared(compared, largest, refused)


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


def _compare_pictures(predictor: Predictor, learner: Path, golden: list[Any], data: Sequence[Path]) -> Compared:
    from fastmar_oracle import pictures as picture_oracle  # noqa: PLC0415 - not needed for tables

    sent = picture_oracle.as_pictures(golden, data)
    _check_same(predictor, learner)
    learn = load_learner(learner)
    largest, compared = 0.0, 0
    refused = []
    for picture, answer in zip(sent, predictor.predict(sent), strict=True):
        if "error" in answer:
            refused.append(f"{picture!r}: {answer['error']['message']}")
            continue
        sides = compare(answer, picture_oracle.ask_fastai(learn, picture), predictor.spec.decode)
        largest, compared = max(largest, _difference(repr(picture), sides, answer)), compared + 1
    return Compared(compared, largest, refused)


def load_learner(path: Path) -> Any:
    """The learner, by fastai."""
    try:
        import fastai.callback.progress  # noqa: F401, PLC0415 - gives learners `no_bar`
        from fastai.learner import load_learner as load  # noqa: PLC0415 - slow, and only here

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fastai warns of pickle, and so does our own help
            return load(path)
    except Exception as error:  # whatever an old pickle makes fastai raise
        raise FastaiUnavailable(
            f"fastai can't load {path} here ({type(error).__name__}: {error}).",
            fix="verify where the fastai that wrote it is installed (an older one: pip install 'fastai<2.8').",
        ) from error


def as_row(predictor: Predictor, record: dict[str, Any]) -> dict[str, Any]:
    """`record` as a person hands it to `learn.predict`: dates taken apart, spellings as trained, dates as dates."""
    report = Report(1)
    batch: dict[str, Any] = gather([record], predictor.spec.fields, report)
    for state in predictor.spec.steps:
        if state["step"] == "add_datepart":
            batch = from_state(state)(batch, report)
    row = {name: column[0] for name, column in batch.items()}
    for field in predictor.spec.fields:
        if field.name in row:
            row[field.name] = _as_trained(row[field.name], field.categories)
    return row


def _as_trained(value: Any, categories: tuple[Any, ...]) -> Any:
    if not isinstance(value, str) or value in categories:
        return value
    dates = {category["timestamp"] for category in categories if isinstance(category, dict)}
    if value in dates:
        return datetime.fromisoformat(value)
    trimmed = [c for c in categories if isinstance(c, str) and c.strip() == value.strip()]
    return trimmed[0] if len(trimmed) == 1 else value


def ask_fastai(learn: Any, row: dict[str, Any]) -> Prediction:
    """What `learn.predict` says to one row."""
    import pandas as pd  # noqa: PLC0415 - comes with fastai

    with learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        try:
            return Prediction(*learn.predict(pd.Series(_as_columns(learn, row), dtype=object)))
        except Exception as error:
            raise FastaiUnavailable(
                f"learn.predict fails on {row} ({type(error).__name__}: {error}).",
                fix="fastai itself can't answer this learner's records: compare with learn.get_preds by hand.",
            ) from error


def _as_columns(learn: Any, row: dict[str, Any]) -> dict[Any, Any]:
    """`row` by the learner's own names of columns: integers where its table had integers."""
    recorded = {str(key): key for key in (*learn.dls.cat_names, *learn.dls.cont_names)}
    return {recorded.get(name, name): value for name, value in row.items()}


def _difference(record: str, sides: Sides, answer: dict[str, Any]) -> float:
    """The largest difference of two answers' numbers, relative where they are above 1."""
    ours, theirs = sides.ours, sides.theirs
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
    if not difference <= TOLERANCE or not sides.same:
        raise _differ(record, prediction(answer), "the same" if sides.same else "otherwise", difference)
    return difference


def _differ(record: str, ours: Any, theirs: Any, difference: float) -> AnswersDiffer:
    return AnswersDiffer(
        f"{record} is answered {ours} here and {theirs} by fastai; "
        f"numbers differ by {difference:.2g} (at most {TOLERANCE:g}).",
        fix="report it with the archive's spec.json; do not deploy the archive.",
    )
