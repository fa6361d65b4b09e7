"""A Docker engine, the image of the files as they are, and a store with a model of tables and one of pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docker.clouds import IMAGE, WEB_IMAGE, picture_archive, table_archive

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no Docker engine answers: {done.stderr.strip()}")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image as `make image` builds it; the engine remembers each step that has not changed."""
    return built(IMAGE, "server")


@pytest.fixture(scope="session")
def web_image(engine: None) -> str:
    """The image of `fastmar web`, likewise."""
    return built(WEB_IMAGE, "web")


def built(image: str, target: str) -> str:
    environment = {**os.environ, "IMAGE": image, "TARGET": target, "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "docker" / "build.sh"], env=environment, capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    return image


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` and `colours`, readable for any user."""
    folder = tmp_path_factory.mktemp("models")
    folder.chmod(0o755)
    table_archive(folder)
    picture_archive(folder)
    return folder
