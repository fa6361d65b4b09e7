"""Copies of an archive with other settings."""

from __future__ import annotations

import zipfile
from pathlib import Path

import yaml
from benchmarks.sweep import CONFIG, with_settings


def test_only_the_settings_change(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mar", tmp_path / "b" / "a.mar"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(CONFIG, "batchSize: 16\nminWorkers: 1\n")
        archive.writestr("model.onnx", b"graph")
    with_settings(source, target, {"batchSize": 4})
    with zipfile.ZipFile(target) as archive:
        assert yaml.safe_load(archive.read(CONFIG)) == {"batchSize": 4, "minWorkers": 1}
        assert archive.read("model.onnx") == b"graph"
