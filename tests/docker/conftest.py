"""Fixtures: the Docker engine, the images built from the current files, and a store with two models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docker.clouds import IMAGES, WEB_IMAGE, picture_archive, table_archive

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip if the Docker engine does not respond."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the Docker engine does not respond: {done.stderr.strip()}")


@pytest.fixture(scope="session")
def torchserve_image(engine: None) -> str:
    """The image with TorchServe; the Docker engine caches unchanged steps."""
    return build_image(IMAGES["torchserve"], ENGINE="torchserve")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image with the asgi engine, for what does not depend on the engine."""
    return build_image(IMAGES["asgi"], ENGINE="asgi")


@pytest.fixture(scope="module", params=IMAGES)
def each_image(request: pytest.FixtureRequest) -> str:
    """Both images in turn."""
    found: str = request.getfixturevalue("image" if request.param == "asgi" else f"{request.param}_image")
    return found


@pytest.fixture(scope="session")
def web_image(engine: None) -> str:
    """The image of `fastmar web`."""
    return build_image(WEB_IMAGE, TARGET="web")


def build_image(image: str, **settings: str) -> str:
    environment = {**os.environ, **settings, "IMAGE": image, "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "docker" / "build.sh"], env=environment, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    return image


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the models `tiny` and `colours`, readable for all users."""
    folder = tmp_path_factory.mktemp("models")
    folder.chmod(0o755)
    table_archive(folder)
    picture_archive(folder)
    return folder
