"""Archives in a model store."""

from __future__ import annotations

from pathlib import Path

from fastmar_contract.errors import FastmarError
from fastmar_contract.members import MANIFEST, PROFILE
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


def has_profile(archive: Path) -> bool:
    """Whether an archive has a profile of its training data, which workers need to report their counts as metrics.

    Raises:
        BundleUnreadable: it can't be read.
    """
    return BundleFiles(archive).contains(PROFILE)
