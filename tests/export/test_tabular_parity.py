"""Compares answers of archives with `learn.predict`, for all kinds of tabular learners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastai.tabular.all import MultiCategoryBlock

from fastmar_contract.members import RECORDS
from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_export.targets import MAX_PROBABILITIES, TOP_K
from fastmar_oracle.comparison import compare_with_fastai
from fastmar_runtime.predictor import BundleFiles, Predictor
from tests.export.tables import CASES, Case, as_record, make_learner, rows

TOLERANCE = 1e-5  # float32 sums in another order; measured differences are at most a tenth


def exported(learn: Any, folder: Path) -> tuple[ExportResult, Predictor]:
    learn.export(folder / "learner.pkl")
    result = export_learner(folder / "learner.pkl", Options("model", output=folder))
    return result, Predictor.open(result.path)


def fastai_answer(learn: Any, row: dict[str, Any]) -> tuple[Any, np.ndarray]:
    with learn.no_bar(), learn.no_logging():
        decoded_row, decoded, predictions = learn.predict(pd.Series(row, dtype=object))
    return (decoded_row, decoded), np.atleast_1d(predictions.numpy().astype(np.float64))


def largest_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """The probabilities in an answer: all, or the largest ones if there are many labels."""
    return probabilities if len(probabilities) <= MAX_PROBABILITIES else np.sort(probabilities)[::-1][:TOP_K]


def assert_same(learn: Any, predictor: Predictor, inputs: list[dict[str, Any]], case: Case) -> float:
    """Compare answers for all rows in one batch with fastai's for single rows; return the largest difference."""
    answers = predictor.predict([as_record(row) for row in inputs])
    largest = 0.0
    for row, answer in zip(inputs, answers, strict=True):
        assert "error" not in answer, (row, answer)
        (decoded_row, decoded), theirs = fastai_answer(learn, row)
        kind = predictor.spec.decode["decoder"]
        if kind == "category":
            assert answer["prediction"] == str(decoded_row.decode().items[case.y].iloc[0]), row
            assert answer["index"] == int(decoded)
            ours = list(answer["probabilities"].values())
            theirs = largest_probabilities(theirs)
        elif kind == "multi_category":
            assert answer["prediction"] == [name for name, on in zip(case.y, decoded.tolist(), strict=True) if on]
            ours = list(answer["probabilities"].values())
            theirs = largest_probabilities(theirs)
        else:
            ours = answer["prediction"]
        difference = np.abs(np.atleast_1d(ours) - theirs) / np.maximum(1.0, np.abs(theirs))
        largest = max(largest, float(difference.max()))
    assert largest <= TOLERANCE
    return largest


@pytest.mark.parametrize("name", CASES)
def test_answers_equal_fastai(name: str, tmp_path: Path, record_property: Any) -> None:
    case = CASES[name]
    learn, df = make_learner(case)
    _, predictor = exported(learn, tmp_path)
    record_property("largest difference", assert_same(learn, predictor, rows(case, df), case))


def one_of(count: int) -> Case:
    """A learner of `count` labels."""
    return Case(y="many", change=lambda df: df.assign(many=[f"label {row % count}" for row in range(len(df))]))


def some_of(count: int) -> Case:
    """A learner of `count` labels, where a row has several labels."""
    names = [f"label {number}" for number in range(count)]

    def change(df: pd.DataFrame) -> pd.DataFrame:
        on = {name: [(row + number) % 3 == 0 for row in range(len(df))] for number, name in enumerate(names)}
        return pd.concat([df, pd.DataFrame(on, index=df.index)], axis=1)

    return Case(y=names, change=change, loaders={"y_block": MultiCategoryBlock(encoded=True, vocab=names)})


@pytest.mark.parametrize(
    ("case", "top"),
    [
        (one_of(MAX_PROBABILITIES), None),
        (one_of(MAX_PROBABILITIES + 1), TOP_K),
        (some_of(MAX_PROBABILITIES + 1), TOP_K),
    ],
    ids=["one of 100", "one of 101", "some of 101"],
)
def test_answer_has_the_ten_largest_of_many_probabilities(case: Case, top: int | None, tmp_path: Path) -> None:
    learn, df = make_learner(case)
    result, predictor = exported(learn, tmp_path)
    assert predictor.spec.decode.get("top") == top
    assert_same(learn, predictor, rows(case, df)[:4], case)
    answer = predictor.predict([as_record(rows(case, df)[0])])[0]
    assert len(answer["probabilities"]) == (top or MAX_PROBABILITIES)
    golden = BundleFiles(result.path).json(RECORDS)[:4]
    assert compare_with_fastai(predictor, tmp_path / "learner.pkl", golden).records == 4
