"""Locks between processes, and the number of usable cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastmar_contract.locks import acquire
from fastmar_contract.machine import usable_cores


def test_a_lock_is_exclusive_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"from fastmar_contract.locks import acquire; print(acquire(open({str(path)!r}, 'a')))"

    def acquired_by_another_process() -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    with path.open("a") as file:
        assert acquire(file)
        assert acquired_by_another_process() == "False"
    assert acquired_by_another_process() == "True"


def test_cores_on_systems_without_sched_getaffinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
