"""All tabular learners of the tests, exported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.export.tables import CASES, make_learner


@pytest.fixture(scope="session")
def predictor_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Predictor]:
    """The model of a learner, by its name."""
    opened: dict[str, Predictor] = {}
    folder: Path = tmp_path_factory.mktemp("learners")

    def open_one(name: str) -> Predictor:
        if name not in opened:
            learn, _ = make_learner(CASES[name])
            learn.export(folder / "learner.pkl")
            opened[name] = Predictor.open(
                export_learner(folder / "learner.pkl", Options(f"m{len(opened)}", output=folder)).path
            )
        return opened[name]

    return open_one
