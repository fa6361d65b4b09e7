"""Fixtures: archives of a table model and a picture model, and an image with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY
from tests.deploy.pod import docker

IMAGES = {"torchserve": "fastmar:latest", "asgi": "fastmar:asgi"}  # `make image` builds them
TABLE, PICTURES = "tiny", "colours"
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
    from fastmar_runtime.predictor import BundleFiles
    from tests.docker.clouds import picture_archive, table_archive

    folder = tmp_path_factory.mktemp("archives")
    picture_archive(folder)
    files = BundleFiles(table_archive(folder))
    return Archives(folder, files.json("golden/records.json"), files.json("golden/answers.json"))


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The images of the server by engine."""
    if not shutil.which("docker") or "Server Version" not in docker("info", check=False):
        pytest.skip("no Docker engine runs")
    for image in IMAGES.values():
        if "Error" in docker("image", "inspect", "--format", "{{.Id}}", image, check=False):
            pytest.skip(f"no image {image}: make image")
    return IMAGES


@pytest.fixture(scope="session")
def archives_image(images: dict[str, str], archives: Archives) -> Iterator[str]:
    """The image with archives, built as documented in docs/deployment/kubernetes.md."""
    dockerfile = str(DEPLOY.parent / "docker/Dockerfile.model")
    words = ["--file", dockerfile, "--tag", ARCHIVES_IMAGE, "--build-arg", f"IMAGE={images['asgi']}"]
    docker("build", "--quiet", *words, str(archives.folder))
    yield ARCHIVES_IMAGE
    docker("image", "rm", "--force", ARCHIVES_IMAGE, check=False)
