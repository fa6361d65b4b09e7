"""The two ways to name a model on the command line: its archive, or the address of a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_cli.main import main
from fastmar_client import Client
from fastmar_runtime.predictor import Predictor
from fastmar_serving import targets
from tests.client.models import InProcess


@pytest.fixture(params=["archive", "server"])
def target(request: pytest.FixtureRequest, archive: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The `archive` of the test's module, or the URL of a server with it."""
    if request.param == "archive":
        return str(archive)
    model = Predictor.open(archive)
    client = Client(transport=InProcess(model))
    monkeypatch.setattr(targets, "_client", lambda *_: client)
    return f"http://127.0.0.1:8080/predictions/{model.spec.name}"


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What a command prints: its output, or its error if it fails without one."""
    assert main([*arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status and not printed.out else printed.out
