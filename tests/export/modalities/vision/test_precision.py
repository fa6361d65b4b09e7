"""Exports in int8 of picture models, with trained learners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastai.data.block import CategoryBlock
from fastai.vision.augment import Flip, Resize
from tests.export.errors import raises
from tests.export.graphs import negated
from tests.export.pictures import Case, Config, small_learner, tiny_learner
from tests.export.pictures import make_learner as make_case
from tests.pictures import COLOURS, file_of, make_learner, picture

from fastmar_contract.members import GRAPH
from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_oracle.comparison import NotComparable, compare_with_fastai
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.golden import read_golden, replay_golden
from fastmar_runtime.operators import operators
from fastmar_runtime.predictor import Predictor

VARIED = Case(CategoryBlock, lambda path: path.name[:3], Config([Resize(48)], [Flip()]), make=small_learner)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a learner, and its pictures in `pictures`."""
    folder = tmp_path_factory.mktemp("learner")
    make_learner(folder / "pictures").export(folder / "learner.pkl")
    return folder


@pytest.fixture
def int8(folder: Path, tmp_path: Path) -> Any:
    """Options of an export in int8."""
    return lambda **others: Options(
        "reduced", output=tmp_path, **{"precision": "int8", "calibration": folder / "pictures", **others}
    )


SENT = [file_of(picture(colour, seed)) for colour in COLOURS for seed in range(100, 105)]


def compare(reduced: Path, exact: Path) -> None:
    """Assert that the answers of two archives are nearly equal, and do not depend on the batch."""
    predictor = Predictor.open(reduced)
    assert replay_golden(predictor) > 0
    assert "QuantizeLinear" in operators(BundleFiles(reduced).read(GRAPH))
    answers = predictor.predict(SENT)
    for ours, theirs in zip(answers, Predictor.open(exact).predict(SENT), strict=True):
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=0.05)
    assert predictor.predict(SENT[:1]) == answers[:1]


def test_answers_are_nearly_those_of_float32(folder: Path, tmp_path: Path, int8: Any) -> None:
    exact = export_learner(folder / "learner.pkl", Options("exact", output=tmp_path))
    reduced = export_learner(folder / "learner.pkl", int8())
    compare(reduced.path, exact.path)
    facts = reduced.spec.provenance["precision"]
    assert (facts["name"], facts["measured"]["records"], facts["measured"]["changed"]) == ("int8", 30, 0)
    assert 0 < facts["measured"]["largest_difference"] < 0.1
    assert facts["golden"]["records"] == len(read_golden(BundleFiles(reduced.path), ["image"]).records)
    [notice] = [each for each in reduced.spec.notices if each["code"] == "reduced_precision"]
    assert "of 30 calibration pictures, 0 predictions differ" in notice["message"]
    predictor = Predictor.open(reduced.path)
    with raises(NotComparable, "not_comparable", "--precision"):
        compare_with_fastai(predictor, folder / "learner.pkl", [])


def test_together_with_augmented_copies(folder: Path, tmp_path: Path, int8: Any) -> None:
    learner = tmp_path / "learner.pkl"
    make_case(VARIED, tmp_path / "files").export(learner)
    exact = export_learner(learner, Options("exact", output=tmp_path, tta=2))
    compare(export_learner(learner, int8(tta=2, max_changed=1.0)).path, exact.path)


def test_too_many_changed_predictions_are_refused(
    folder: Path, tmp_path: Path, int8: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastmar_export.modalities.vision.precision.quantize_static", negated)
    with raises(ExportError, "precision_too_low", "30", "numbers by at most"):
        export_learner(folder / "learner.pkl", int8(max_changed=0.5))
    assert not (tmp_path / "reduced.mar").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"calibration": None}, "precision_without_reference"),
        ({"precision": None}, "calibration_without_precision"),
        ({"calibration": Path("nowhere")}, "calibration_unreadable"),
    ],
)
def test_invalid_options_are_refused(folder: Path, int8: Any, options: dict[str, Any], code: str) -> None:
    with raises(ExportError, code):
        export_learner(folder / "learner.pkl", int8(**options))


def test_damaged_pictures_are_refused(folder: Path, tmp_path: Path, int8: Any) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.png").write_bytes(b"no picture")
    with raises(ExportError, "quantization_failed"):
        export_learner(folder / "learner.pkl", int8(calibration=tmp_path / "damaged"))


def test_a_network_of_one_layer_is_refused(tmp_path: Path, int8: Any) -> None:
    tiny_learner(Config([Resize(32)]), tmp_path / "files").export(tmp_path / "tiny.pkl")
    with raises(ExportError, "quantization_failed", "small"):
        export_learner(tmp_path / "tiny.pkl", int8())
