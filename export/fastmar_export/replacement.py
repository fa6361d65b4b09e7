"""When an export may replace the archive that has its name: only where nothing of another learner is lost.

The same pickle may be exported again, with other options. A live learner is pickled anew for each export, and each of
its pickles has another digest; its archive may be replaced where the old one has the same network and transforms.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastmar_contract.members import GRAPH, SPEC
from fastmar_export.archive import Bundle
from fastmar_export.errors import ArchiveExists
from fastmar_export.reader import LearnerFile
from fastmar_runtime import spec as spec_format
from fastmar_runtime.errors import BundleError
from fastmar_runtime.predictor import BundleFiles
from fastmar_runtime.spec import Spec

_FORCE = "with --force (force=True in a notebook)"
_HEX = 12  # digits of a digest that a message shows


def check_version(path: Path, version: str) -> None:
    """Refuse to replace the archive at `path`, if there is one, by another version.

    Raises:
        ArchiveExists: it holds another version, or is no archive of fastmar's.
    """
    old = _spec_at(path)
    if old is not None and old.version != version:
        raise ArchiveExists(
            f"{path} holds version {old.version}, and this export is version {version}.",
            fix=f"keep both with another folder (--version {version} --output new), or replace it {_FORCE}.",
        )


def check_same_pickle(path: Path, source: LearnerFile, pickle: Path) -> None:
    """Refuse to replace the archive at `path`, if there is one, unless it was made from the same pickle.

    Args:
        path: of the archive.
        source: the pickle of this export, as it was read.
        pickle: where it was read.

    Raises:
        ArchiveExists: the archive was made from another pickle; the message names both by digest and date.
    """
    old = _spec_at(path)
    found = (old.provenance or {}).get("pickle", {}).get("sha256") if old is not None else None
    if old is None or found == source.sha256:
        return
    made_from = f"sha256 {found[:_HEX]}..." if isinstance(found, str) else "of unknown digest"
    raise ArchiveExists(
        f"{path} (written {_modified(path)}) holds version {old.version} of another learner: it was made from a pickle "
        f"({made_from}) that is not {pickle} (sha256 {source.sha256[:_HEX]}..., written {_modified(pickle)}).",
        fix=_keep_or_force(old.version),
    )


def check_same_model(path: Path, bundle: Bundle) -> None:
    """Refuse to replace the archive at `path`, if there is one, unless it answers as `bundle` does.

    Raises:
        ArchiveExists: its network or its transforms are others.
    """
    old = _spec_at(path)
    if old is None or (_answers(old) == _answers(bundle.spec) and BundleFiles(path).read(GRAPH) == bundle.graph):
        return
    raise ArchiveExists(
        f"{path} (written {_modified(path)}) holds version {old.version} of another learner, or of this one before it "
        "was trained further: its network or its transforms differ.",
        fix='keep both with version="2.0" and another output folder, or replace it with force=True.',
    )


def _answers(spec: Spec) -> dict[str, Any]:
    """What of `spec` decides answers; not how they are documented and displayed, which an export may change."""
    kept = replace(spec, fields=(), notices=(), dropped=(), provenance=None, ui=None, runtime="")
    return spec_format.to_dict(kept)


def _spec_at(path: Path) -> Spec | None:
    if not path.exists():
        return None
    try:
        return spec_format.from_dict(BundleFiles(path).json(SPEC))
    except BundleError as error:
        raise ArchiveExists(
            f"{path} is there already, and fastmar did not write it.", fix=f"move it away, or replace it {_FORCE}."
        ) from error


def _keep_or_force(version: str) -> str:
    new = "2.0" if version != "2.0" else "3.0"
    return f"keep both with a new version in another folder (--version {new} --output new), or replace it {_FORCE}."


def _modified(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
