"""Loaders for learners, and the marker of tests that run only on request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

LONG = "FASTMAR_LONG_TESTS"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"slow: large networks, tested where {LONG} is set")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get(LONG):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=f"large; set {LONG}=1"))


@pytest.fixture(scope="session")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """fastai's loaders of eight pictures of three kinds, 64 by 64."""
    from fastai.vision.all import ImageDataLoaders, Resize  # slow to import

    folder: Path = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    paths = [folder / f"{'abc'[number % 3]}_{number}.png" for number in range(8)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    labels = [path.name[0] for path in paths]
    return ImageDataLoaders.from_lists(
        folder, paths, labels, valid_pct=0.25, seed=0, item_tfms=Resize(64), bs=2, num_workers=0
    )
