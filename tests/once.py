"""Folders that are made once in a run of pytest, although pytest-xdist runs several processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_contract.locks import acquire


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
    with (shared / f"{name}.lock").open("w") as lock:
        while not acquire(lock):
            time.sleep(0.05)
        if not folder.exists():
            partial = factory.mktemp(name)
            make(partial)
            partial.rename(folder)
    copy = factory.mktemp(name) / name
    shutil.copytree(folder, copy)
    return copy
