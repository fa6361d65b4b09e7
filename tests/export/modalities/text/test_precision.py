"""Exports in int8, with a trained learner."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.export.errors import raises
from tests.export.graphs import negated
from tests.export.texts import CASES, make_learner, reviews

from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.predictor import Predictor

NOTICE = "reduced_precision"


@pytest.fixture(scope="module")
def pickle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("learner") / "learner.pkl"
    make_learner(CASES["one label"]).export(path)
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    reviews()[["text"]].to_csv(tmp_path / "texts.csv", index=False)
    return tmp_path / "texts.csv"


def test_answers_are_nearly_those_of_float32(pickle: Path, texts: Path, tmp_path: Path) -> None:
    exact = export_learner(pickle, Options("exact", output=tmp_path))
    reduced = export_learner(pickle, Options("reduced", output=tmp_path, reference=texts, precision="int8"))
    assert reduced.path.stat().st_size < exact.path.stat().st_size
    [notice] = [each for each in reduced.spec.notices if each["code"] == NOTICE]
    assert "of 120 reference texts, 0 predictions differ" in notice["message"]
    predictor = Predictor.open(reduced.path)
    assert replay_golden(predictor) > 0
    sent = pd.read_csv(texts)["text"].tolist()
    for ours, theirs in zip(predictor.predict(sent), Predictor.open(exact.path).predict(sent), strict=True):
        assert ours["prediction"] == theirs["prediction"]
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=0.05)


def test_too_many_changed_predictions_are_refused(
    pickle: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmar_export.modalities.text.precision.quantize_lstm", negated)
    options = Options("reduced", output=tmp_path, reference=texts, precision="int8", max_changed=0.5)
    with raises(ExportError, "precision_too_low", "120", "numbers by at most"):
        export_learner(pickle, options)
    assert not (tmp_path / "reduced.mar").exists()


def test_texts_to_measure_with_are_required(pickle: Path, tmp_path: Path) -> None:
    with raises(ExportError, "precision_without_reference"):
        export_learner(pickle, Options("reduced", output=tmp_path, precision="int8"))
