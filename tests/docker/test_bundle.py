"""`make bundle`: what it writes installs without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docker.archives import RECORD, write_version
from tests.docker.clouds import docker
from tests.docker.conftest import ROOT

import fastmar_runtime

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("bundle")]

IMAGE = "fastmar-bundled:test"
WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")


@pytest.fixture(scope="module")
def bundle(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The unpacked bundle, with the wheels of the client and one image; the image is no longer on this machine."""
    docker("tag", image, IMAGE)
    settings = {"EXTRAS": "client", "IMAGES": IMAGE, "PYTHON": sys.executable}
    made = subprocess.run(
        [ROOT / "docker" / "bundle.sh"], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    docker("rmi", IMAGE)
    assert made.returncode == 0, made.stderr
    name = f"fastmar-{fastmar_runtime.__version__}-offline"
    assert f"{name}.tar" in made.stdout
    folder = tmp_path_factory.mktemp("bundle")
    with tarfile.open(ROOT / ".build" / f"{name}.tar") as tar:
        tar.extractall(folder, filter="data")
    yield folder / name
    subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=False)


def install(bundle: Path) -> subprocess.CompletedProcess[str]:
    """Run install.sh with the tests' Python and without a network."""
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(
        [*WITHOUT_NETWORK, bundle / "install.sh"], env=environment, capture_output=True, text=True, check=False
    )


def test_installs_without_a_network(bundle: Path, tmp_path: Path) -> None:
    if subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not create a network namespace")
    done = install(bundle)
    assert done.returncode == 0, done.stderr
    assert docker("image", "inspect", "--format", "{{.Config.User}}", IMAGE).strip()
    archive = write_version(tmp_path, "1.0")
    fastmar = bundle / ".venv" / "bin" / "fastmar"
    record = tmp_path / "record.json"
    record.write_text(json.dumps(RECORD), "utf-8")
    answered = subprocess.run(
        [*WITHOUT_NETWORK, fastmar, "predict", archive, record, "--json"], capture_output=True, text=True, check=False
    )
    assert '"prediction":">=50k"' in answered.stdout.replace(" ", ""), answered.stderr


def test_damaged_bundle_is_refused(bundle: Path) -> None:
    path = bundle / "docker" / "compose.yaml"
    original = path.read_bytes()
    path.write_bytes(original[:-1])
    try:
        done = install(bundle)
    finally:
        path.write_bytes(original)
    assert done.returncode == 1
    assert "The bundle is damaged." in done.stderr


def test_image_that_cannot_be_had_is_named(engine: None) -> None:
    settings = {"EXTRAS": "", "IMAGES": "127.0.0.1:9/nothing:1", "PYTHON": sys.executable}
    made = subprocess.run(
        [ROOT / "docker" / "bundle.sh"], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert made.returncode == 1
    assert "The image 127.0.0.1:9/nothing:1 is not on this machine, and cannot be pulled." in made.stderr
