"""Fixtures: archives of a table model and a picture model, and an image with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY
from tests.deploy.pod import IMAGE, docker

TABLE, PICTURES = "holes", "colours"
ARCHIVES_IMAGE = "fastmar-test-archives:1"


@dataclass(frozen=True)
class Archives:
    """A folder of archives, and the golden records and answers of the table model."""

    folder: Path
    records: list[Any]
    answers: list[Any]


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    # Slow imports, which the tests of manifests do not need.
    from fastmar_export.exporter import Options, export_learner
    from fastmar_runtime.predictor import BundleFiles
    from tests import pictures
    from tests.export.tables import CASES, make_learner

    folder = tmp_path_factory.mktemp("archives")
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.export(folder / "table.pkl")
    pictures.make_learner(folder / "pictures").export(folder / "pictures.pkl")
    table = export_learner(folder / "table.pkl", Options(TABLE, output=folder / "store")).path
    export_learner(folder / "pictures.pkl", Options(PICTURES, output=folder / "store"))
    files = BundleFiles(table)
    return Archives(folder / "store", files.json("golden/records.json"), files.json("golden/answers.json"))


@pytest.fixture(scope="session")
def image() -> str:
    """The image of the server."""
    if not shutil.which("docker") or "Server Version" not in docker("info", check=False):
        pytest.skip("no Docker engine runs")
    if "Error" in docker("image", "inspect", "--format", "{{.Id}}", IMAGE, check=False):
        pytest.skip(f"no image {IMAGE}: make image")
    return IMAGE


@pytest.fixture(scope="session")
def archives_image(image: str, archives: Archives) -> Iterator[str]:
    """The image with archives, built as documented in docs/deployment/kubernetes.md."""
    dockerfile = str(DEPLOY.parent / "docker/Dockerfile.model")
    words = ["--file", dockerfile, "--tag", ARCHIVES_IMAGE, "--build-arg", f"IMAGE={image}"]
    docker("build", "--quiet", *words, str(archives.folder))
    yield ARCHIVES_IMAGE
    docker("image", "rm", "--force", ARCHIVES_IMAGE, check=False)
