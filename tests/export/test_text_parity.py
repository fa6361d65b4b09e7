"""Compares answers of archives with `learn.predict`, for learners of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_oracle.comparison import compare_with_fastai
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.texts import CASES, make_learner, reviews

TOLERANCE = 1e-5

NASTY = (
    "",
    " \n\t ",
    "AT&amp;T <br /> it&#39;s #36; GREAT!!!!!! soooooo ha ha ha ha ha",
    "xxbos xxpad xxunk xxmaj literal tokens",
    "\u05e9\u05dc\u05d5\u05dd \u4f60\u597d \U0001f468\u200d\U0001f469\u200d\U0001f467 :-)) ;-P http://a.b/c?d=e#f",
    "word " * 300,
)


def exported(name: str, folder: Path) -> tuple[Path, ExportResult, Predictor]:
    pickle = folder / "learner.pkl"
    make_learner(CASES[name]).export(pickle)
    result = export_learner(pickle, Options("model", output=folder))
    return pickle, result, Predictor.open(result.path)


def records_of(spec: Any) -> list[dict[str, str]]:
    texts = [*reviews()["text"][:20], *NASTY]
    columns = [texts, texts[::-1]]
    return [{f.name: column[row] for f, column in zip(spec.fields, columns, strict=False)} for row in range(len(texts))]


@pytest.mark.parametrize("name", CASES)
def test_answers_equal_fastai(name: str, tmp_path: Path, record_property: Any) -> None:
    pickle, result, predictor = exported(name, tmp_path)
    records = records_of(result.spec)
    compared = compare_with_fastai(predictor, pickle, records)
    assert compared.refused == []
    assert compared.records == len(records)
    assert compared.difference <= TOLERANCE
    record_property(MEASURED, compared.difference)
