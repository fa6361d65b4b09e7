"""Conventions of the repository: structure of tests, documents that match the code, error codes."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import fastmar
import fastmar_bulk
import fastmar_cli
import fastmar_client
import fastmar_contract
import fastmar_export
import fastmar_export.modalities
import fastmar_export.networks.batch_layers
import fastmar_monitor
import fastmar_runtime
import fastmar_runtime.steps
import fastmar_serving
from fastmar_cli.parser import command_names
from fastmar_contract.errors import FastmarError
from fastmar_runtime import registry
from tests.supported import PAGE, with_table

ROOT = Path(__file__).resolve().parents[1]
MODALITIES = Path(fastmar_export.modalities.__file__).parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PICTURE = "docs/images/answer-desktop-light.png"  # in the README, made by `make screenshots`
OPTIONAL = {"pyspark", "ray"}  # packages that are not part of dev, and that a module imports at its top
SLOW = ("torch", "onnxruntime", "pandas", "fastai", "requests", "numpy")


def test_a_transform_has_a_converter_a_step_and_a_test_of_the_same_name() -> None:
    folders = [str(path) for path in MODALITIES.glob("*/converters")]
    converters = {info.name for info in pkgutil.iter_modules(folders) if not info.ispkg}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/runtime/steps").glob("test_*.py")}
    assert converters == set(registry.names("steps")) == tests


def test_a_kind_of_answer_has_a_test_of_the_same_name() -> None:
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/runtime/answers").glob("test_*.py")}
    assert set(registry.names("answers")) == tests - {"answers", "new_kind"}


def test_a_layer_has_a_converter_a_class_and_a_test_of_the_same_name() -> None:
    """Batch transforms run in the graph, as a torch class instead of a step."""
    folder = "vision/converters/graph"
    converters = {info.name for info in pkgutil.iter_modules([str(MODALITIES / folder)])}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/export/modalities" / folder).glob("test_*.py")}
    layers = {name.lower() for name in vars(fastmar_export.networks.batch_layers)}
    assert converters == tests
    assert {name.replace("_", "") for name in converters} <= layers


def test_the_table_of_supported_classes_is_current() -> None:
    text = PAGE.read_text("utf-8")
    assert with_table(text) == text, "run: python -m tests.supported"


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 150


def test_every_command_of_the_documents_exists() -> None:
    """Checks code blocks and `code`; sentences may start with the project's name."""
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:`|\$ )fastmar ([a-z][a-z-]*)", document.read_text("utf-8")))
        for block in blocks_of(document):
            named |= set(re.findall(r"^ *fastmar ([a-z][a-z-]*)", block, re.MULTILINE))
        assert named <= set(command_names()), document.name
        assert document != README or {"export", "serve"} <= named


def test_every_target_of_make_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"`make ([a-z]+)", document.read_text("utf-8")))
        for block in blocks_of(document):
            named |= set(re.findall(r"^make ([a-z]+)", block, re.MULTILINE))
        assert named <= targets, document.name
        assert document != README or {"demo", "test"} <= named


def blocks_of(document: Path) -> list[str]:
    return re.findall(r"^ *```\w+\n(.*?)^ *```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_links_between_documents_have_targets() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text("utf-8")):
            assert target.startswith("http") or (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    def pages(entries: list[Any]) -> Iterator[str]:
        for entry in entries:
            [value] = entry.values()
            yield from pages(value) if isinstance(value, list) else [value]

    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    written = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    notebooks = [f"notebooks/{path.stem}.md" for path in (ROOT / "examples" / "notebooks").glob("*.ipynb")]
    assert sorted(pages(navigation)) == sorted(written + notebooks)


def test_the_reference_has_every_command_and_every_public_name() -> None:
    def named(page: str, pattern: str) -> set[str]:
        return set(re.findall(pattern, (DOCS / "reference" / page).read_text("utf-8"), re.MULTILINE))

    assert named("commands.md", r"^\| `fastmar ([a-z-]+)` \|") == set(command_names())
    assert named("fastmar.md", r"^::: fastmar\.(\w+)$") == set(fastmar.__all__)
    assert named("fastmar_client.md", r"^::: fastmar_client\.(\w+)$") == set(fastmar_client.__all__)


def test_make_image_builds_both_images(tmp_path: Path) -> None:
    """Runs with a fake docker that records its arguments."""
    calls, docker = tmp_path / "calls", tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n')
    docker.chmod(0o755)
    printed = subprocess.run(
        ["make", "-n", "--no-print-directory", "image"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "PYTHON": "false"}
    for line in printed.splitlines():
        subprocess.run(line, shell=True, cwd=ROOT, env=environ | {"VARIANT": "gpu", "IMAGE": "mine"}, check=False)
    builds = [line.split() for line in calls.read_text().splitlines() if line.startswith("build ")]
    images = [(call[call.index("--tag") + 1], call[call.index("--file") + 1]) for call in builds]
    assert images == [("mine", "docker/Dockerfile"), ("fastmar-web:latest", "docker/Dockerfile.web")]


def all_errors() -> list[type[Exception]]:
    for package in (
        fastmar,
        fastmar_bulk,
        fastmar_cli,
        fastmar_client,
        fastmar_contract,
        fastmar_export,
        fastmar_monitor,
        fastmar_runtime,
        fastmar_serving,
    ):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(info.name)
            except ModuleNotFoundError as error:
                if error.name not in OPTIONAL:
                    raise
    found: list[type[Exception]] = []
    pending: list[type[Exception]] = [FastmarError]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending += cls.__subclasses__()
    return found


def test_error_classes_have_distinct_codes_and_require_a_fix() -> None:
    errors = all_errors()
    assert len(errors) > 20
    codes = [cls.code for cls in errors]  # type: ignore[attr-defined]
    assert len(set(codes)) == len(codes)
    with pytest.raises(TypeError):
        FastmarError("something went wrong")  # type: ignore[call-arg]  # no fix


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["export", "--help"], ["serve", "--help"]])
def test_help_imports_no_slow_packages(arguments: list[str]) -> None:
    code = (
        "import sys; from fastmar_cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"slow = [name for name in {SLOW!r} if name in sys.modules]\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_generated_files_in_git() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    made = (".mar", ".pkl", ".pth", ".onnx", ".whl", ".jar", ".jpg", ".png", ".csv", ".npy")
    found = [name for name in listed.stdout.split() if name.endswith(made)]
    # Users may have no Java compiler, and the README shows the picture.
    kept = {"serving/fastmar_serving/torchserve/front/front.jar", PICTURE}
    assert {name for name in found if not name.startswith("tests/frozen/")} == kept
    assert (ROOT / PICTURE).stat().st_size < 120_000
