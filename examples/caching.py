"""A cache of trained learners."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path


def cached_folder(cache: Path, make: Callable[[Path], object]) -> Path:
    """The folder in `cache` that `make` fills on the first call; there is one for each version of fastai."""
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
