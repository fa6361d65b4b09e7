"""Compares the next token of archives with fastai's language models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastmar_export.exporter import Options, export_learner
from fastmar_oracle.comparison import compare_with_fastai
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.texts import make_block, make_language_model, reviews

TOLERANCE = 1e-5
TEXTS = ["a film", "", "xxpad literal xxpad", "GREAT!!!! and very bad", "word " * 300, *reviews()["text"][:10]]


@pytest.mark.parametrize("tied", [True, False])
def test_next_token_equals_fastai(tied: bool, tmp_path: Path, record_property: Any) -> None:
    learn = make_language_model(make_block(is_lm=True), tie_weights=tied)
    learn.export(tmp_path / "learner.pkl")
    result = export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))
    predictor = Predictor.open(result.path)
    answers = predictor.predict(TEXTS)
    compared = compare_with_fastai(predictor, tmp_path / "learner.pkl", [{"text": text} for text in TEXTS])
    assert (compared.refused, compared.records) == ([], len(TEXTS))
    assert compared.difference <= TOLERANCE
    record_property(MEASURED, compared.difference)
    for text, answer in zip(TEXTS, answers, strict=True):
        learn.model.reset()
        ids = learn.dls.test_dl([text]).items[0]
        with learn.no_bar():
            [expected] = learn.get_preds(dl=[(ids[None],)])[0][:, -1]
        top = expected.topk(10)
        assert list(answer["probabilities"].values()) == pytest.approx(top.values.tolist(), abs=TOLERANCE)
        labels = predictor.spec.decode["vocab"]
        assert len(set(labels)) == len(labels)
        for token, probability in answer["probabilities"].items():
            assert float(expected[labels.index(token)]) == pytest.approx(probability, abs=TOLERANCE)
