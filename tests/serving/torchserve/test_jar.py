"""The jar in git is compiled from the sources in git, which agree with the runtime."""

from __future__ import annotations

import re
import zipfile

import pytest

from fastmar_runtime.operations.kinds import OPERATIONS
from fastmar_serving.torchserve.front.build import COMPILER, FOLDER, JAR, build, compiler_version


def test_jar_is_up_to_date() -> None:
    found = compiler_version()
    if found != COMPILER:
        pytest.skip(f"needs javac {COMPILER}; found {found or 'none'}")
    assert build() == JAR.read_bytes(), "run `make front`"


def test_each_source_has_its_class() -> None:
    with zipfile.ZipFile(JAR) as jar:
        classes = {name.removeprefix("fastmar/front/").removesuffix(".class") for name in jar.namelist()}
    assert {path.stem for path in FOLDER.glob("*.java")} <= classes


def test_the_front_knows_the_operations_of_the_runtime() -> None:
    declared = re.search(r"OPERATIONS =\s+Set\.of\((.*?)\)", (FOLDER / "Route.java").read_text("utf-8"), re.DOTALL)
    assert declared is not None
    assert sorted(re.findall(r'"(\w+)"', declared[1])) == sorted(OPERATIONS)
