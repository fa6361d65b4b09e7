"""Fixtures: the tiny model, and the archive of the cookbook's learner if its pickle is available."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec
from tests.once import made_once
from tests.runtime import tiny

COOKBOOK = Path(__file__).parents[2].parent / "shared" / "data" / "cookbook"


@pytest.fixture
def spec() -> Spec:
    return tiny.spec()


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return tiny.predictor()


@pytest.fixture(scope="session")
def date_predictor() -> Predictor:
    return Predictor(tiny.date_spec(), tiny.date_graph())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny.write_bundle(tmp_path / "model")


@pytest.fixture(scope="session")
def cookbook() -> Path:
    """Folder with the cookbook's learner, its test set, and answers of `learn.predict`."""
    if not (COOKBOOK / "adult_sample_model.pkl").is_file():
        pytest.skip("../shared/data/cookbook is not on this machine")
    return COOKBOOK


@pytest.fixture(scope="session")
def adult(cookbook: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported archive of the cookbook's learner."""
    pytest.importorskip("torch")
    from fastmar_export.exporter import Options, export_learner

    def make(folder: Path) -> None:
        export_learner(cookbook / "adult_sample_model.pkl", Options(name="adult", output=folder))

    return made_once(tmp_path_factory, "cookbook", make) / "adult.mar"
