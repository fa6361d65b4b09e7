"""The archive of a served version is found by its manifest."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from fastmar_contract.members import MANIFEST
from fastmar_monitor.archives import find_archive


def write(path: Path, manifest: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
    return path


def test_the_archive_of_a_version(tmp_path: Path) -> None:
    (tmp_path / "0.mar").write_text("not an archive", encoding="utf-8")
    (tmp_path / "1.mar").mkdir()
    write(tmp_path / "2.mar", [])
    write(tmp_path / "3.mar", {"model": {"modelVersion": "1.0"}})
    first = write(tmp_path / "a.mar", {"model": {"modelName": "adult"}})
    second = write(tmp_path / "b.mar", {"model": {"modelName": "adult", "modelVersion": "2.0"}})
    assert find_archive(tmp_path, "adult", "1.0") == first
    assert find_archive(tmp_path, "adult", "2.0") == second
    assert find_archive(tmp_path, "adult", "3.0") is None
    assert find_archive(tmp_path / "missing", "adult", "1.0") is None
