"""Finds the archive of a served version in a model store."""

from __future__ import annotations

from pathlib import Path

from fastmar_contract.errors import FastmarError
from fastmar_contract.members import MANIFEST
from fastmar_runtime.bundle import BundleFiles


def find_archive(store: Path, name: str, version: str) -> Path | None:
    """The archive of a version in the folder `store`; None if it has none. Other files are left out."""
    for path in sorted(store.glob("*.mar")):
        try:
            model = BundleFiles(path).json(MANIFEST)["model"]
            if (model["modelName"], str(model.get("modelVersion") or "1.0")) == (name, version):
                return path
        except (FastmarError, OSError, TypeError, KeyError):
            continue
    return None
