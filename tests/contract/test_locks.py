"""Locks between programs, and the cores that a process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastmar_contract.locks import acquire
from fastmar_contract.machine import usable_cores


def test_another_program_does_not_get_a_lock_that_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"from fastmar_contract.locks import acquire; print(acquire(open({str(path)!r}, 'a')))"

    def another_gets_it() -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    with path.open("a") as file:
        assert acquire(file)
        assert another_gets_it() == "False"
    assert another_gets_it() == "True"


def test_cores_on_systems_that_do_not_tell_which_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
