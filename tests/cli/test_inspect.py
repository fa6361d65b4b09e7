"""`fastmar inspect`: lines for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_cli.main import main
from fastmar_runtime.golden import GoldenRecords
from tests.runtime import tiny, tiny_pictures


def test_the_copies_of_test_time_augmentation_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [tiny_pictures.RESIZE, tiny_pictures.TO_TENSOR]
    cropped = [{"step": "random_crop", "size": [4, 4], "draws": [0.5, 0.5]}, *plain]
    spec = tiny_pictures.spec(steps=(tiny_pictures.OPENING, {"step": "copies", "copies": [plain, cropped, cropped]}))
    path = tiny.write_files(tmp_path / "model.mar", spec, tiny_pictures.graph(), GoldenRecords([{}], [{}], {}))
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "copies: 1 x (resize, to_tensor); 2 x (random_crop, resize, to_tensor)" in printed
    assert "draws" not in printed
