"""`docker stop` under load, with a server without any privileges.

The image is empty: the container uses the files of this machine, mounted read-only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.engines.load import Load
from tests.serving.archives import make_archive
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving.testing import running_server
from fastmar_serving.torchserve.java import find_java

pytestmark = [pytest.mark.docker, pytest.mark.torchserve]

IMAGE = "fastmar-test-empty"
ROOT = Path(__file__).parents[3]
CONFINED = ["--cap-drop", "ALL", "--user", "10001:10001", "--read-only", "--security-opt", "no-new-privileges"]


def docker(*arguments: str, content: bytes | None = None) -> str:
    return subprocess.run(
        ["docker", *arguments], input=content, capture_output=True, check=True, timeout=60
    ).stdout.decode()


@pytest.fixture(scope="module")
def empty_image() -> Iterator[str]:
    if sys.platform != "linux" or not shutil.which("docker"):
        pytest.skip("needs Linux and a Docker engine")
    try:
        options = docker("info", "--format", "{{.SecurityOptions}}")
    except (subprocess.SubprocessError, OSError):
        pytest.skip("no Docker engine answers")
    if "seccomp" not in options or "rootless" in options:
        pytest.skip(f"needs an engine with seccomp and with containers that this machine reaches, not {options}")
    with BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in ("bin", "lib", "lib64"):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(link)
        docker("import", "-", IMAGE, content=buffer.getvalue())
    yield IMAGE
    docker("image", "rm", "--force", IMAGE)


@pytest.mark.parametrize("attempt", range(3))
def test_docker_stop_under_load_loses_no_request(empty_image: str, tmp_path: Path, attempt: int) -> None:
    store = tmp_path / "store"
    make_archive(store, "echo", ECHO)
    java = find_java(None).path
    here = {"/usr", "/etc", sys.base_prefix, sys.prefix, str(ROOT), str(java.resolve().parents[1]), str(store)}
    mounts = [word for path in sorted(here) for word in ("--volume", f"{path}:{path}:ro")]
    name = f"fastmar-test-{uuid.uuid4().hex[:12]}"
    options = ["--rm", "--name", name, "--tmpfs", "/tmp:exec", *CONFINED, *mounts]
    serve = [sys.executable, "-m", "fastmar_cli.main"]
    arguments = ("--host", "0.0.0.0", "--no-token", "--java", str(java))
    with running_server(store, *arguments, command=["docker", "run", *options, empty_image, *serve]) as server:
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name).strip()
        load = Load(urlsplit(server.url).port or 0, "/predictions/echo", host=address)
        load.start(keep_alive=8, one_each=8)
        load.wait_for_answers(50)
        docker("stop", "--time", "50", name)
        outcomes = load.wait()
        assert server.process.wait(60) == 0
        assert "connections" not in server.stderr.read_text()  # no warning of the drain
    assert set(outcomes) == {"200", "refused"}, outcomes
    assert outcomes["refused"] == 16
