"""`fastmar rollback`: make a previous version the default again, and load it first if necessary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastmar_serving.archives import read_archive
from fastmar_serving.defaults import Default
from fastmar_serving.rollout.audit import ROLLBACK, audit_entry
from fastmar_serving.rollout.candidate import Candidate, candidate_version
from fastmar_serving.rollout.errors import NoVersion, VersionFailed
from fastmar_serving.rollout.golden import read_golden, replay
from fastmar_serving.rollout.loading import Show
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.store import find_anywhere, move_to_unloaded, restore_unloaded
from fastmar_serving.rollout.switching import read_default, save_default, warn_not_saved
from fastmar_serving.rollout.versions import Version, default_of, versions_of


@dataclass(frozen=True)
class RollbackResult:
    """Result of a rollback.

    Attributes:
        name: name of the model.
        before: the default version before the rollback.
        version: the default version now.
        loaded: whether the version had to be loaded again.
    """

    name: str
    before: str
    version: str
    loaded: bool

    def as_dict(self) -> dict[str, Any]:
        """The output of `--json`."""
        return {"name": self.name, "before": self.before, "version": self.version, "loaded": self.loaded}


def roll_back(server: Server, name: str, to: str | None, *, timeout: float, show: Show) -> RollbackResult:
    """Make a previous version the default again. The current default stays loaded.

    Raises:
        NoVersion: the model or the version does not exist, or the previous version is unknown.
        VersionFailed: the version does not load, or has no ready worker.
    """
    with audit_entry(server, ROLLBACK) as entry, server.exclusive():
        entry.model, entry.after = name, to
        versions = versions_of(server.management, name)
        current = default_of(versions)
        entry.before = current.version if current else None
        if current is None:
            known = ", ".join(sorted(server.management.names()))
            fix = f"name one of: {known}." if known else "deploy a model first."
            raise NoVersion(f"the server has no model {name}.", fix=fix, code="no_model")
        version = entry.after = choose_version(server, current, versions, to)
        loaded = next((v for v in versions if v.version == version), None)
        if loaded is not None and loaded.ready == 0:
            raise VersionFailed(
                f"{loaded.label} is loaded, but has no ready worker; {current.label} stays the default.",
                fix="read the server's log, or give --to another version.",
                code="no_ready_worker",
            )
        with candidate_version(server, name, version, current) as candidate:
            if loaded is None:
                _load(server, current, version, candidate, timeout=timeout, show=show)
            candidate.switch()
            is_saved = save_default(server, name, _default_after(candidate.saved, current.version, version, to))
        if not is_saved:
            warn_not_saved(server, name, version)
    return RollbackResult(name, current.version, version, loaded is None)


def _default_after(saved: Default | None, before: str, version: str, to: str | None) -> Default:
    """The entry to save. The next rollback after one with `--to` returns to the version that was the default before."""
    if to is not None:
        return (saved or Default(before)).switched(version)
    return saved.rolled_back(version) if saved else Default(version)


def choose_version(server: Server, current: Version, versions: Sequence[Version], to: str | None) -> str:
    """The version to go back to: `to`, else the previous default, else the only other version if none is saved.

    Raises:
        NoVersion: there is no such version.
    """
    loaded = [version.version for version in versions if not version.is_default]
    fix = _suggest(current.name, loaded)
    if to is not None:
        if to == current.version:
            raise NoVersion(f"{current.label} is the default already.", fix=fix, code="version_is_default")
        if to in loaded or find_anywhere(server.store, current.name, to):
            return to
        raise NoVersion(f"{current.name} {to} is not loaded, and not in {server.store}.", fix=fix)
    saved = read_default(server, current.name)
    for version in reversed(saved.before if saved else ()):
        if version != current.version and (version in loaded or find_anywhere(server.store, current.name, version)):
            return version
    if len(loaded) == 1 and saved is None:  # after a rollback, the other one may be the version that was left
        return loaded[0]
    if saved is not None:
        message = f"{current.label} has no previous default version in the saved history."
        raise NoVersion(message, fix=fix, code="no_previous_version")
    found = "several other versions are loaded" if loaded else "no other version is loaded"
    message = f"no history of default versions of {current.name} is saved, and {found}."
    raise NoVersion(message, fix=fix, code="ambiguous_version" if loaded else "no_other_version")


def _load(server: Server, current: Version, version: str, candidate: Candidate, *, timeout: float, show: Show) -> None:
    """Load a version from the model store, and replay its golden records."""
    name = current.name
    found = find_anywhere(server.store, name, version)
    if found is None:
        raise NoVersion(f"{name} {version} is not in {server.store}.", fix="deploy its archive again.")
    archive = read_archive(found)
    golden = read_golden(found)
    file = found
    if found.parent != server.store:
        file = restore_unloaded(server.store, found)
        candidate.undo_file = partial(move_to_unloaded, file)  # a damaged archive prevents the next start
    candidate.load(file, max(archive.workers, current.target_workers), timeout=timeout, show=show)
    replay(server.client, name, version, golden, show)


def _suggest(name: str, loaded: Sequence[str]) -> str:
    if not loaded:
        return "deploy the archive of an earlier version."
    return f"run `fastmar rollback {name} --to` with one of: {', '.join(loaded)}."
