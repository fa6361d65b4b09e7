"""import-linter reports violations of each contract in pyproject.toml, made in a copy of the packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from itertools import permutations, product
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
TOPS = sorted({package.partition("/")[0] for package in PACKAGES})


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with copies of the packages and of pyproject.toml."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / Path(package).name, ignore=lambda _, names: set(ignored_files(names)))
    return folder


def ignored_files(names: list[str]) -> list[str]:
    """Files other than Python sources, and caches."""
    return [name for name in names if name == "__pycache__" or Path(name).suffix not in ("", ".py")]


def lint(folder: Path) -> tuple[int, str]:
    """Exit status and output of `lint-imports`, which finds packages in the current folder first."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def forbidden(contract: dict[str, Any]) -> set[tuple[str, str]]:
    """The imports that a contract forbids, as (importer, imported)."""
    if contract["type"] == "layers":
        layers = [layer.split(" | ") for layer in contract["layers"]]  # the highest first
        forbidden_pairs = {
            pair for place, high in enumerate(layers) for low in layers[place + 1 :] for pair in product(low, high)
        }
        return forbidden_pairs.union(*(permutations(layer, 2) for layer in layers))
    if contract["type"] == "independence":
        return set(permutations([name for pattern in contract["modules"] for name in matching(pattern)], 2))
    return set(product(contract["source_modules"], contract["forbidden_modules"]))


def matching(pattern: str) -> list[str]:
    """The modules that match a contract's `package.*`."""
    package = pattern.removesuffix(".*")
    [folder] = [ROOT / top / Path(*package.split(".")) for top in TOPS if (ROOT / top / package.split(".")[0]).is_dir()]
    return [f"{package}.{info.name}" for info in iter_modules([str(folder)])] if package != pattern else [pattern]


def test_all_contracts_are_kept(copy: Path) -> None:
    status, printed = lint(copy)
    assert status == 0, printed
    assert f"{len(CONTRACTS)} kept, 0 broken" in printed


@pytest.mark.parametrize("contract", CONTRACTS, ids=[contract["name"] for contract in CONTRACTS])
def test_every_forbidden_import_is_reported(copy: Path, contract: dict[str, Any]) -> None:
    imports = forbidden(contract)
    before: dict[Path, str] = {}
    try:
        for importer, imported in sorted(imports):
            path = copy.joinpath(*importer.split("."))
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            before.setdefault(file, file.read_text("utf-8"))
            file.write_text(f"{file.read_text('utf-8')}\nimport {imported}\n", "utf-8")
        status, printed = lint(copy)
    finally:
        for file, text in before.items():
            file.write_text(text, "utf-8")
    assert status == 1, printed
    assert (
        set(re.findall(r"^(\S+) is not allowed to import\s+(\S+):$", report_of(printed, contract), re.MULTILINE))
        == imports
    )


def report_of(printed: str, contract: dict[str, Any]) -> str:
    """The part of the output about a broken contract: from its underlined name to the next heading."""
    _, _, text = printed.partition(f"\n{contract['name']}\n{'-' * len(contract['name'])}\n")
    return re.split(r"\n[^\n]+\n-+\n", text)[0]


def test_modules_in_contracts_exist(copy: Path) -> None:
    """A misspelled name would forbid nothing."""
    named = {name for contract in CONTRACTS for pair in forbidden(contract) for name in pair}
    for name in sorted(name for name in named if name.startswith("fastmar")):
        path = copy.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
