"""Checks that an export may replace an existing archive of the same name: no other learner may be lost.

The same pickle may be exported again, with other options. A learner in a notebook is pickled again for each export, and
each pickle has another digest, so its archive may be replaced if the old one has the same network and transforms.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastmar_contract.members import GRAPH, SPEC
from fastmar_export.bundle import Bundle
from fastmar_export.errors import ArchiveExists
from fastmar_export.reader import LearnerFile
from fastmar_runtime import spec as spec_format
from fastmar_runtime.errors import BundleError
from fastmar_runtime.predictor import BundleFiles
from fastmar_runtime.spec import Spec

_FORCE = "with --force (force=True in a notebook)"
_HEX = 12  # digits of a digest that a message shows


def check_version(path: Path, version: str) -> None:
    """Refuse to replace an archive at `path` that has another version.

    Raises:
        ArchiveExists: the archive has another version, or was not written by fastmar.
    """
    old = _spec_at(path)
    if old is not None and old.version != version:
        raise ArchiveExists(
            f"{path} already exists with version {old.version}; this export has version {version}.",
            fix=f"keep both by writing to another folder ({_other(path, version)}), or replace it {_FORCE}.",
            code="another_version_exists",
        )


def check_same_pickle(path: Path, source: LearnerFile, pickle: Path) -> None:
    """Refuse to replace an archive at `path` that was exported from another pickle.

    Args:
        path: path of the archive.
        source: content of this export's pickle.
        pickle: path of this export's pickle.

    Raises:
        ArchiveExists: the archive was exported from another pickle; the message has digest and date of both.
    """
    old = _spec_at(path)
    found = (old.provenance or {}).get("pickle", {}).get("sha256") if old is not None else None
    if old is None or found == source.sha256:
        return
    digest = f"sha256 {found[:_HEX]}..." if isinstance(found, str) else "of unknown digest"
    raise ArchiveExists(
        f"{path} (written {_modified(path)}) already exists with version {old.version} of another learner: it was "
        f"exported from a pickle ({digest}) that differs from {pickle} (sha256 {source.sha256[:_HEX]}..., written "
        f"{_modified(pickle)}).",
        fix=_keep_or_force(path, old.version),
        code="another_learner_exists",
    )


def check_same_model(path: Path, bundle: Bundle) -> None:
    """Refuse to replace an archive at `path` whose network or transforms differ from those of `bundle`.

    Raises:
        ArchiveExists: they differ.
    """
    old = _spec_at(path)
    if old is None or (
        _computation(old) == _computation(bundle.spec) and BundleFiles(path).read(GRAPH) == bundle.graph
    ):
        return
    raise ArchiveExists(
        f"{path} (written {_modified(path)}) already exists with version {old.version} of another learner, or of this "
        "learner before more training: its network or its transforms differ.",
        fix='keep both with version="2.0" and another output folder, or replace it with force=True.',
        code="another_model_exists",
    )


def _computation(spec: Spec) -> dict[str, Any]:
    """The parts of `spec` that determine answers, without documentation and presentation."""
    kept = replace(spec, fields=(), notices=(), dropped=(), provenance=None, ui=None, runtime="")
    return spec_format.to_dict(kept)


def _spec_at(path: Path) -> Spec | None:
    if not path.exists():
        return None
    try:
        return spec_format.from_dict(BundleFiles(path).json(SPEC))
    except BundleError as error:
        raise ArchiveExists(
            f"{path} already exists and was not written by fastmar.",
            fix=f"move it to another folder, or replace it {_FORCE}.",
            code="another_file_exists",
        ) from error


def _other(path: Path, version: str) -> str:
    return f"--version {version} --output {'new' if path.resolve().parent.name != 'new' else 'newer'}"


def _keep_or_force(path: Path, version: str) -> str:
    new = "2.0" if version != "2.0" else "3.0"
    return f"keep both by writing a new version to another folder ({_other(path, new)}), or replace it {_FORCE}."


def _modified(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
