"""Learners that take a while to train: made the first time, whole or not at all, and found again later."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path


def made_once(cache: Path, make: Callable[[Path], object]) -> Path:
    """The folder in `cache` that `make` filled, for the fastai that is installed: another one trains again."""
    folder = cache / f"fastai-{version('fastai')}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache))
        try:
            make(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder
