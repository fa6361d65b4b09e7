"""Fixtures of all tests of servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.archives import make_archive


@pytest.fixture(scope="session")
def archive() -> Callable[..., Path]:
    return make_archive
