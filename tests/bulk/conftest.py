"""All tabular learners of the tests, exported once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.export.tables import CASES, make_learner
from tests.once import made_once


@pytest.fixture(scope="session")
def predictor_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Predictor]:
    """The model of a learner, by its name."""

    @functools.cache
    def open_one(name: str) -> Predictor:
        def make(folder: Path) -> None:
            learn, _ = make_learner(CASES[name])
            learn.export(folder / "learner.pkl")
            export_learner(folder / "learner.pkl", Options("model", output=folder))

        return Predictor.open(made_once(tmp_path_factory, f"bulk-{name.replace(' ', '-')}", make) / "model.mar")

    return open_one
