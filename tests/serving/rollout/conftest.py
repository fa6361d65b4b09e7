"""A fake server that has loaded version 1.0 of the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.archives import tiny_archive
from tests.serving.rollout.fakes import FakeTorchServe

from fastmar_cli.main import show_notices


@pytest.fixture(autouse=True)
def notices() -> None:
    """Print notices on standard error, as the command line does."""
    show_notices()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def torchserve(store: Path) -> FakeTorchServe:
    tiny_archive(store, "1.0")
    fake = FakeTorchServe(store)
    fake.register("tiny-1.0.mar")
    fake.calls.clear()
    return fake


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Archive of version 2.0, which predicts the other label, outside the store."""
    return tiny_archive(tmp_path, "2.0", flipped=True)
