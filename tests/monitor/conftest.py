"""The archive of a small model with a reference profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitor import samples


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.archive(tmp_path_factory.mktemp("monitor") / "tiny")
