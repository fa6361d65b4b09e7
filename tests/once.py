"""Folders that are made once in a run of pytest, although pytest-xdist runs several processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastmar_contract.locks import acquire


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Processes with the same file run this block one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        while not acquire(lock):
            time.sleep(0.05)
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of the folder that `make` fills in the first process of the run that calls this.

    Each process has a copy of its own, because servers and tests may write into it. Processes that call this
    meanwhile wait.

    Args:
        factory: pytest's fixture `tmp_path_factory`.
        name: identifies the folder in the run.
        make: gets an empty folder; trains learners, for example.
    """
    own = factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made-once"
    shared.mkdir(exist_ok=True)
    folder = shared / name
    with one_at_a_time(shared / f"{name}.lock"):
        if not folder.exists():
            partial = factory.mktemp(name)
            make(partial)
            partial.rename(folder)
    copy = factory.mktemp(name) / name
    shutil.copytree(folder, copy)
    return copy
