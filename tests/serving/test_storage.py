"""Errors of a full disk, which TorchServe reports when it unpacks an archive."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmar_serving.management import ManagementError
from fastmar_serving.rollout.errors import VersionFailed
from fastmar_serving.rollout.loading import register
from fastmar_serving.torchserve.launcher import _not_registered

FULL = "Failed to load model: flights.mar No space left on device"
DAMAGED = "Failed to load model: flights.mar Invalid archive"
CASES = pytest.mark.parametrize(("reason", "code"), [(FULL, "disk_full"), (DAMAGED, "registration_refused")])


@CASES
def test_at_the_start(reason: str, code: str) -> None:
    server: Any = SimpleNamespace(log=SimpleNamespace(last_server_line=lambda: reason))
    error = _not_registered(server, ManagementError(404, "Model not found"))
    assert (error.code, "FASTMAR_UNPACKED" in error.fix) == (code, code == "disk_full")
    assert reason in error.message


@CASES
def test_of_a_deployment(reason: str, code: str) -> None:
    def refuse(_: str) -> None:
        raise ManagementError(500, reason)

    server: Any = SimpleNamespace(management=SimpleNamespace(register=refuse))
    with pytest.raises(VersionFailed) as caught:
        register(server, "flights", "2.0", Path("flights.mar"))
    assert (caught.value.code, "FASTMAR_UNPACKED" in caught.value.fix) == (code, code == "disk_full")
