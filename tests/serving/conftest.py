"""One real TorchServe for all tests of this folder, with the book's learner and one of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastmar_export.exporter import Options, export_learner
from fastmar_serving.torchserve.testing import RunningServer, running_server
from tests.conftest import COOKBOOK
from tests.export.tables import CASES, make_learner

OURS = "holes"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.export(folder / "learner.pkl")
    export_learner(folder / "learner.pkl", Options(OURS, output=folder / "store"))
    if COOKBOOK.is_dir():
        export_learner(COOKBOOK / "adult_sample_model.pkl", Options("adult", output=folder / "store"))
    return folder / "store"


@pytest.fixture(scope="session")
def server(store: Path) -> Iterator[RunningServer]:
    with running_server(store) as running:
        yield running
