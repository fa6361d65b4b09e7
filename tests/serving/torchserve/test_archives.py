from __future__ import annotations

import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_serving.torchserve import errors
from fastmar_serving.torchserve.archives import find_archives, identify, read_archive

MakeArchive = Callable[..., Path]


def test_newest_version_first(tmp_path: Path, archive: MakeArchive) -> None:
    for version in ("1.9", "1.10", "1.0"):
        archive(tmp_path, "b", "", version=version)
    archive(tmp_path, "a", "", workers=3)
    found = find_archives(tmp_path, [])
    assert [one.label for one in found] == ["a 1.0", "b 1.10", "b 1.9", "b 1.0"]
    assert found[0].workers == 3
    assert found[0].sample["n"] == 1.5


def test_by_name_or_file(tmp_path: Path, archive: MakeArchive) -> None:
    for name in ("a", "b", "c"):
        archive(tmp_path, name, "")
    assert [one.name for one in find_archives(tmp_path, ["a", "c-1.0.mar"])] == ["a", "c"]
    with pytest.raises(errors.StoreEmpty, match=r"no model d, e\.\n  Fix: name one of: a, b, c"):
        find_archives(tmp_path, ["a", "e", "d"])


def test_an_empty_store_says_export(tmp_path: Path) -> None:
    for store in (tmp_path, tmp_path / "missing"):
        with pytest.raises(errors.StoreEmpty, match="fastmar export"):
            find_archives(store, [])


def test_a_truncated_archive_is_named(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "x = 1\n" * 100)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(errors.ArchiveRefused, match=r"a-1\.0\.mar can't be served"):
        find_archives(tmp_path, [])


def test_a_damaged_part_is_named(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "marker = 1\n")
    path.write_bytes(path.read_bytes().replace(b"marker", b"broken"))
    with pytest.raises(errors.ArchiveRefused, match=r"handler\.py is damaged"):
        read_archive(path)


def test_a_zip_of_another_kind(tmp_path: Path) -> None:
    for name, content_of in {"a.mar": {}, "b.mar": {"MAR-INF/MANIFEST.json": "[]"}}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as made:
            for member, content in content_of.items():
                made.writestr(member, content)
        with pytest.raises(errors.ArchiveRefused, match=name):
            read_archive(tmp_path / name)


def test_twins_and_names_that_torchserve_cannot_take(tmp_path: Path, archive: MakeArchive) -> None:
    path = archive(tmp_path, "a", "")
    (tmp_path / "copy.mar").write_bytes(path.read_bytes())
    with pytest.raises(errors.ArchiveRefused, match=r"a-1\.0\.mar and copy\.mar are both a 1\.0"):
        find_archives(tmp_path, [])
    (tmp_path / "copy.mar").rename(tmp_path / "a,b.mar")
    with pytest.raises(errors.ArchiveRefused, match="a,b"):
        find_archives(tmp_path, [])


def test_the_default_that_is_remembered_comes_first(
    tmp_path: Path, archive: MakeArchive, caplog: pytest.LogCaptureFixture
) -> None:
    for version in ("1.0", "2.0", "3.0"):
        archive(tmp_path, "a", "", version=version)
    archive(tmp_path, "b", "")
    remembered = tmp_path / "defaults.json"
    remembered.write_text(json.dumps({"a": {"default": "2.0", "before": ["1.0"]}, "gone": {"default": "1.0"}}))
    assert [one.label for one in find_archives(tmp_path, [])] == ["a 2.0", "a 3.0", "a 1.0", "b 1.0"]
    assert caplog.text == ""
    remembered.write_text(json.dumps({"a": {"default": "9.0"}}))
    assert [one.label for one in find_archives(tmp_path, [])][:2] == ["a 3.0", "a 2.0"]
    assert "a 9.0 was the default and is not here" in caplog.text
    caplog.clear()
    remembered.write_text("{")
    assert [one.label for one in find_archives(tmp_path, [])][:2] == ["a 3.0", "a 2.0"]
    assert "defaults.json can't be read" in caplog.text


@pytest.mark.parametrize(("name", "version"), [("a/b", "1.0"), ("a", "1/0"), ("..", "1.0"), ("a", "all"), ("a", ".")])
def test_names_that_no_url_can_say(tmp_path: Path, name: str, version: str) -> None:
    path = tmp_path / "a.mar"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": name, "modelVersion": version}}))
    with pytest.raises(errors.ArchiveRefused, match="no URL can name"):
        read_archive(path)
    assert identify(path) == (name, version)


def test_what_is_no_archive_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "a.mar").write_bytes(b"PK")
    assert identify(tmp_path / "a.mar") is None
    assert identify(tmp_path / "missing.mar") is None


def bomb(path: Path, name: str) -> Path:
    """An archive one part of which is a few kilobytes that unpack to 8 MB; the other parts are sound."""
    content_of = {
        "MAR-INF/MANIFEST.json": json.dumps({"model": {"modelName": "a", "configFile": "model-config.yaml"}}),
        "model-config.yaml": "minWorkers: 1\n",
        "golden/records.json": "[]",
        "golden/answers.json": "[]",
        "schema.json": "{}",
        "openapi.json": "{}",
        "spec.json": "{}",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for member, content in content_of.items():
            made.writestr(member, content + "\n#" * (4_000_000 if member == name else 0))
    assert path.stat().st_size < 50_000
    return path


def peak_of(call: Callable[[], object]) -> int:
    """Bytes that a call allocates at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
