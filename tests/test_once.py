"""Folders that are made once in a run."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.once import made_once


def test_is_made_once_and_copied(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "half").touch()
        time.sleep(0.2)
        (folder / "whole").touch()

    tmp_path_factory.getbasetemp()  # it is made by the first call, which must not be in a thread
    with ThreadPoolExecutor(4) as pool:  # the lock also holds between threads, since each opens the file
        copies = list(pool.map(lambda _: made_once(tmp_path_factory, "test-once", make), range(4)))
    assert len(made) == 1
    assert len(set(copies)) == 4
    assert all(sorted(path.name for path in copy.iterdir()) == ["half", "whole"] for copy in copies)


def test_is_made_again_after_a_failure(tmp_path_factory: pytest.TempPathFactory) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("training failed")

    with pytest.raises(ValueError, match="training failed"):
        made_once(tmp_path_factory, "test-again", fail)
    copy = made_once(tmp_path_factory, "test-again", lambda folder: (folder / "whole").touch())
    assert [path.name for path in copy.iterdir()] == ["whole"]
