"""One real server of each engine for the tests of this folder, with the book's learner and two small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastmar_serving.testing import RunningServer, running_server
from tests.conftest import COOKBOOK
from tests.serving.archives import make_archive

TABLES, COLOURS = "holes", "colours"
ENGINES = {
    "torchserve": (),
    "granian": ("--engine", "asgi", "--server", "granian"),
    "uvicorn": ("--engine", "asgi", "--server", "uvicorn"),
}
MARKS = {"torchserve": pytest.mark.torchserve, "granian": pytest.mark.asgi, "uvicorn": pytest.mark.asgi}


@pytest.fixture(scope="session")
def archive() -> Callable[..., Path]:
    return make_archive


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Slow imports, which most tests of this folder do not need.
    from fastmar_export.exporter import Options, export_learner
    from tests import pictures
    from tests.export.tables import CASES, make_learner

    folder = tmp_path_factory.mktemp("served")
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.export(folder / "learner.pkl")
    export_learner(folder / "learner.pkl", Options(TABLES, output=folder / "store"))
    pictures.make_learner(folder / "pictures").export(folder / "pictures.pkl")
    export_learner(folder / "pictures.pkl", Options(COLOURS, output=folder / "store"))
    if COOKBOOK.is_dir():
        export_learner(COOKBOOK / "adult_sample_model.pkl", Options("adult", output=folder / "store"))
    return folder / "store"


@pytest.fixture(scope="session", params=[pytest.param(name, marks=MARKS[name]) for name in ENGINES])
def server(request: pytest.FixtureRequest, store: Path) -> Iterator[RunningServer]:
    """A test with it runs on each engine."""
    with running_server(store, *ENGINES[request.param]) as running:
        yield running
