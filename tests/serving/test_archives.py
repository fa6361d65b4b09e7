from __future__ import annotations

import errno
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastmar_serving import errors
from fastmar_serving.archives import LeftOut, find_archives, identify, read_archive
from fastmar_serving.defaults import Default, write_defaults

MakeArchive = Callable[..., Path]


def test_newest_version_first(tmp_path: Path, archive: MakeArchive) -> None:
    for version in ("1.9", "1.10", "1.0"):
        archive(tmp_path, "b", "", version=version)
    archive(tmp_path, "a", "", workers=3)
    found = find_archives(tmp_path, [])
    assert [one.label for one in found] == ["a 1.0", "b 1.10", "b 1.9", "b 1.0"]
    assert found[0].workers == 3
    assert found[0].sample["n"] == 1.5


@pytest.mark.parametrize(
    ("schema", "n"), [({"record": {"examples": [{"n": 7}]}}, 7), ({"record": {"examples": []}}, 1.5), ([], 1.5)]
)
def test_the_sample_is_the_example_of_the_schema(tmp_path: Path, archive: MakeArchive, schema: Any, n: float) -> None:
    path = archive(tmp_path, "a", "")
    with zipfile.ZipFile(path, "a") as written:
        written.writestr("schema.json", json.dumps(schema))
    assert read_archive(path).sample["n"] == n


def test_selects_by_model_or_file_name(tmp_path: Path, archive: MakeArchive) -> None:
    for name in ("a", "b", "c"):
        archive(tmp_path, name, "")
    assert [one.name for one in find_archives(tmp_path, ["a", "c-1.0.mar"])] == ["a", "c"]
    with pytest.raises(errors.StoreEmpty) as caught:
        find_archives(tmp_path, ["a", "e", "d"])
    assert caught.value.code == "model_not_in_store"
    assert "d, e" in caught.value.message
    assert "a, b, c" in caught.value.fix


def test_refuses_an_empty_or_missing_store(tmp_path: Path) -> None:
    for store in (tmp_path, tmp_path / "missing"):
        with pytest.raises(errors.StoreEmpty) as caught:
            find_archives(store, [])
        assert caught.value.code == "store_empty"
        assert "fastmar export" in caught.value.fix


def test_refuses_a_truncated_archive(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "x = 1\n" * 100)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(errors.ArchiveRefused) as caught:
        find_archives(tmp_path, [])
    assert "a-1.0.mar" in caught.value.message


def test_leaves_out_broken_archives(tmp_path: Path, archive: MakeArchive) -> None:
    good, bad = archive(tmp_path, "a", ""), archive(tmp_path, "b", "")
    (tmp_path / "c.mar").touch()
    bad.write_bytes(bad.read_bytes()[:-100])
    for names in ([], ["a", "b"], ["a", "b-1.0.mar", "c"]):
        left_out: LeftOut = {}
        assert [one.path for one in find_archives(tmp_path, names, left_out=left_out)] == [good]
        assert {path.name: error.code for path, error in left_out.items()} == {
            "b-1.0.mar": "archive_refused",
            "c.mar": "archive_refused",
        }
    with pytest.raises(errors.StoreEmpty) as unknown:
        find_archives(tmp_path, ["a", "d"], left_out={})
    assert unknown.value.code == "model_not_in_store"
    good.unlink()
    with pytest.raises(errors.ArchiveRefused) as first:
        find_archives(tmp_path, [], left_out={})
    assert "b-1.0.mar" in first.value.message


def test_leaves_out_a_model_whose_default_is_left_out(tmp_path: Path, archive: MakeArchive) -> None:
    for name, version in (("a", "1.0"), ("b", "1.0"), ("b", "2.0"), ("b", "3.0")):
        archive(tmp_path, name, "", version=version)
    write_defaults(tmp_path, {"b": Default("2.0")})

    def found(left_out: LeftOut) -> list[str]:
        return [one.label for one in find_archives(tmp_path, [], left_out=left_out)]

    problem = errors.LoadFailed("it does not load.", fix="export it again.")
    assert found({tmp_path / "b-3.0.mar": problem}) == ["a 1.0", "b 2.0", "b 1.0"]
    left_out: LeftOut = {tmp_path / "b-2.0.mar": problem}
    assert found(left_out) == ["a 1.0"]
    assert [path.name for path in left_out] == ["b-2.0.mar", "b-1.0.mar", "b-3.0.mar"]
    assert {error.code for path, error in left_out.items() if path.name != "b-2.0.mar"} == {"default_left_out"}


def test_unreadable_archive_names_the_user_of_the_server(
    tmp_path: Path, archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path, "a", "")

    def refuse(*_: Any) -> None:  # root may read all files
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(errors.ArchiveRefused) as caught:
        find_archives(tmp_path, [])
    assert caught.value.code == "archive_unreadable"
    assert f"uid {os.getuid()}" in caught.value.fix
    assert "export" not in caught.value.fix


def test_refuses_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(errors.ArchiveRefused) as caught:
        read_archive(tmp_path / "absent.mar")
    assert caught.value.code == "archive_not_found"


def test_names_a_damaged_member(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "marker = 1\n")
    path.write_bytes(path.read_bytes().replace(b"marker", b"broken"))
    with pytest.raises(errors.ArchiveRefused) as caught:
        read_archive(path)
    assert "handler.py" in caught.value.message


def test_refuses_a_zip_file_without_a_valid_manifest(tmp_path: Path) -> None:
    for name, content_of in {"a.mar": {}, "b.mar": {"MAR-INF/MANIFEST.json": "[]"}}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as written:
            for member, content in content_of.items():
                written.writestr(member, content)
        with pytest.raises(errors.ArchiveRefused) as caught:
            read_archive(tmp_path / name)
        assert name in caught.value.message


def test_refuses_duplicate_versions_and_invalid_file_names(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "")
    (tmp_path / "copy.mar").write_bytes(path.read_bytes())
    with pytest.raises(errors.ArchiveRefused) as caught:
        find_archives(tmp_path, [])
    assert caught.value.code == "duplicate_version"
    for fact in ("a-1.0.mar", "copy.mar", "a 1.0"):
        assert fact in caught.value.message
    (tmp_path / "copy.mar").rename(tmp_path / "a,b.mar")
    with pytest.raises(errors.ArchiveRefused) as caught:
        find_archives(tmp_path, [])
    assert caught.value.code == "invalid_file_name"


def test_the_saved_default_comes_first(tmp_path: Path, archive: MakeArchive, caplog: pytest.LogCaptureFixture) -> None:
    for version in ("1.0", "2.0", "3.0"):
        archive(tmp_path, "a", "", version=version)
    archive(tmp_path, "b", "")
    saved = tmp_path / "defaults.json"
    saved.write_text(json.dumps({"a": {"default": "2.0", "before": ["1.0"]}, "gone": {"default": "1.0"}}))
    assert [one.label for one in find_archives(tmp_path, [])] == ["a 2.0", "a 3.0", "a 1.0", "b 1.0"]
    assert caplog.text == ""
    saved.write_text(json.dumps({"a": {"default": "9.0"}}))
    assert [one.label for one in find_archives(tmp_path, [])][:2] == ["a 3.0", "a 2.0"]
    assert "a 9.0" in caplog.text
    caplog.clear()
    saved.write_text("{")
    assert [one.label for one in find_archives(tmp_path, [])][:2] == ["a 3.0", "a 2.0"]
    assert "defaults.json" in caplog.text


@pytest.mark.parametrize(("name", "version"), [("a/b", "1.0"), ("a", "1/0"), ("..", "1.0"), ("a", "all"), ("a", ".")])
def test_refuses_names_that_are_invalid_in_urls(tmp_path: Path, name: str, version: str) -> None:
    path = tmp_path / "a.mar"
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": name, "modelVersion": version}}))
    with pytest.raises(errors.ArchiveRefused) as caught:
        read_archive(path)
    assert caught.value.code == "invalid_model_name"
    assert identify(path) == (name, version)


def test_identify_returns_none_if_the_file_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.mar").write_bytes(b"PK")
    assert identify(tmp_path / "a.mar") is None
    assert identify(tmp_path / "missing.mar") is None


def bomb(path: Path, name: str) -> Path:
    """An archive of a few kilobytes, whose member `name` unpacks to 8 MB; the other members are normal."""
    content_of = {
        "MAR-INF/MANIFEST.json": json.dumps({"model": {"modelName": "a", "configFile": "model-config.yaml"}}),
        "model-config.yaml": "minWorkers: 1\n",
        "golden/records.json": "[]",
        "golden/answers.json": "[]",
        "schema.json": "{}",
        "openapi.json": "{}",
        "spec.json": "{}",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for member, content in content_of.items():
            written.writestr(member, content + "\n#" * (4_000_000 if member == name else 0))
    assert path.stat().st_size < 50_000
    return path


def peak_of(call: Callable[[], object]) -> int:
    """Maximum of the bytes that a call allocates."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
