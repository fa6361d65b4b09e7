"""Compares answers of archives with `learn.predict`, for text learners.

With FASTMAR_LONG_TESTS=1 all of them are written by both modules for pickles. `python -m benchmarks.text_parity`
compares thousands of texts.
"""

from __future__ import annotations

import os
import pickle
from itertools import product
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_export.reader import read_learner_file
from fastmar_oracle.comparison import compare_with_fastai
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.errors import raises
from tests.export.texts import CASES, Case, make_block, make_learner, records

TOLERANCE = 1e-5
LONG = bool(os.environ.get("FASTMAR_LONG_TESTS"))

MODULES = [pickle, cloudpickle]
RARE = ("from_df", "from_df, several labels", "SentencePiece backwards")
USUAL = [("one label", pickle), *((name, cloudpickle) for name in CASES if name not in RARE)]
LEARNERS = list(product(CASES, MODULES)) if LONG else USUAL


@pytest.mark.parametrize(("name", "pickle_module"), LEARNERS, ids=lambda value: getattr(value, "__name__", value))
def test_answers_equal_fastai(name: str, pickle_module: Any, tmp_path: Path, record_property: Any) -> None:
    learner = tmp_path / "learner.pkl"
    make_learner(CASES[name]).export(learner, pickle_module=pickle_module)
    predictor = Predictor.open(export_learner(learner, Options("model", output=tmp_path)).path)
    sent = records(CASES[name])
    compared = compare_with_fastai(predictor, learner, sent)
    assert compared.refused == []
    assert compared.records == len(sent)
    assert compared.difference <= TOLERANCE
    record_property(MEASURED, compared.difference)


def test_activations_of_the_last_batch_are_no_training_rows(tmp_path: Path) -> None:
    """fastai's RNNCallback keeps them."""
    learn = make_learner(CASES["one label"])
    learn.validate()
    learn.export(tmp_path / "learner.pkl")
    assert read_learner_file(tmp_path / "learner.pkl").leaks == []


def test_a_learner_without_rules(tmp_path: Path) -> None:
    """Its tokens have no mark of the start, so that an empty text has none."""
    learner = tmp_path / "learner.pkl"
    case = Case(block=lambda: make_block(rules=[]))
    make_learner(case).export(learner)
    predictor = Predictor.open(export_learner(learner, Options("model", output=tmp_path)).path)
    sent = [record for record in records(case) if record["text"]]
    assert compare_with_fastai(predictor, learner, sent).difference <= TOLERANCE
    [answer] = predictor.predict([""])
    assert answer["error"]["code"] == "empty_text"


@pytest.mark.parametrize(
    ("name", "columns"),
    [("one label", ["review"]), ("two columns", ["headline", "review"]), ("from_folder", ["review"])],
)
def test_chosen_names_of_columns(name: str, columns: list[str], tmp_path: Path) -> None:
    learner = tmp_path / "learner.pkl"
    make_learner(CASES[name]).export(learner)
    usual = Predictor.open(export_learner(learner, Options("usual", output=tmp_path)).path)
    renamed = Predictor.open(export_learner(learner, Options("named", output=tmp_path, text_column=columns)).path)
    sent = records(CASES[name])[:5]
    named = [dict(zip(columns, record.values(), strict=True)) for record in sent]
    assert renamed.predict(named) == usual.predict(sent)
    for wrong in ([*columns, "other"], columns * 2):
        with raises(ExportError, "wrong_text_columns"):
            export_learner(learner, Options("other", output=tmp_path, text_column=wrong))
