"""The end of the server's process group."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fastmar_serving.torchserve import process
from fastmar_serving.torchserve.process import ServerProcess

# Like Java, the first process ends at once; like a worker, the second one reports for the last time.
_PROGRAM = """
(trap 'sleep 0.3; echo reported > report; exit' TERM; echo > ready; while :; do sleep 0.01; done) &
trap 'exit' TERM
while :; do sleep 0.01; done
"""


def started(folder: Path, program: str) -> ServerProcess:
    found = ServerProcess(["sh", "-c", program], cwd=folder, env={"PATH": "/usr/bin:/bin"}, show=lambda _: None)
    deadline = time.monotonic() + 60
    while not (folder / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_workers_report_before_they_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKER_TIMEOUT", 60.0)
    started(tmp_path, _PROGRAM).stop()
    assert (tmp_path / "report").read_text() == "reported\n"


def test_workers_that_do_not_end_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKER_TIMEOUT", 0.2)
    monkeypatch.setattr(process, "END_TIMEOUT", 0.5)
    stuck = started(tmp_path, "trap '' TERM; (echo > ready; while :; do sleep 0.01; done)")
    stuck.stop()
    assert stuck.status() is not None
