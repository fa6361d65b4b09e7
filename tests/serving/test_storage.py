"""Errors of a full disk, which TorchServe reports when it unpacks an archive."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmar_serving.errors import ServerDied
from fastmar_serving.management import ManagementError
from fastmar_serving.rollout.errors import VersionFailed
from fastmar_serving.rollout.loading import register
from fastmar_serving.torchserve.launcher import _not_registered, raise_if_dead

FULL = "Failed to load model: flights.mar No space left on device"
DAMAGED = "Failed to load model: flights.mar Invalid archive"
CASES = pytest.mark.parametrize(("reason", "code"), [(FULL, "disk_full"), (DAMAGED, "registration_refused")])


@CASES
def test_at_the_start(reason: str, code: str) -> None:
    server: Any = SimpleNamespace(log=SimpleNamespace(last_server_line=lambda: reason))
    error = _not_registered(server, ManagementError(404, "Model not found"))
    assert (error.code, "FASTMAR_UNPACKED" in error.fix) == (code, code == "disk_full")
    assert reason in error.message


@pytest.mark.parametrize(("free", "code"), [(1000, "disk_full"), (1 << 30, "server_died")])
def test_of_a_server_that_died(free: int, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    log = SimpleNamespace(wait_for_end=lambda _: None, last_server_line=lambda: "BindException")
    server: Any = SimpleNamespace(status=lambda: 1, log=log, folder=tmp_path)
    with pytest.raises(ServerDied) as caught:
        raise_if_dead(server)
    assert (caught.value.code, "FASTMAR_UNPACKED" in caught.value.fix) == (code, code == "disk_full")


@CASES
def test_of_a_deployment(reason: str, code: str) -> None:
    def refuse(_: str) -> None:
        raise ManagementError(500, reason)

    server: Any = SimpleNamespace(management=SimpleNamespace(register=refuse))
    with pytest.raises(VersionFailed) as caught:
        register(server, "flights", "2.0", Path("flights.mar"))
    assert (caught.value.code, "FASTMAR_UNPACKED" in caught.value.fix) == (code, code == "disk_full")
