"""`fastmar rollback`: back to a version that answered before, loaded again if it is not loaded any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastmar_serving.rollout.audit import ROLLBACK, audited
from fastmar_serving.rollout.errors import NoVersion, VersionFailed
from fastmar_serving.rollout.golden import read_golden, replay
from fastmar_serving.rollout.loading import Show
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.store import bring_back, find_anywhere, set_aside
from fastmar_serving.rollout.switching import not_remembered, remember, remembered
from fastmar_serving.rollout.trial import Trial, on_trial
from fastmar_serving.rollout.versions import Version, default_of, versions_of
from fastmar_serving.torchserve.archives import read_archive
from fastmar_serving.torchserve.defaults import Default


@dataclass(frozen=True)
class RolledBack:
    """What was done.

    Attributes:
        name: the model's.
        before: the version that was left.
        version: the one that answers now.
        loaded: whether it had to be loaded again.
    """

    name: str
    before: str
    version: str
    loaded: bool

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "before": self.before, "version": self.version, "loaded": self.loaded}


def roll_back(server: Server, name: str, to: str | None, *, timeout: float, show: Show) -> RolledBack:
    """Make an earlier version the default again; the one that is left stays loaded.

    Raises:
        NoVersion: the model, or a version to go back to, is not there, or it is not clear which.
        VersionFailed: the version does not answer.
    """
    with audited(server, ROLLBACK) as entry, server.alone():
        entry.model, entry.after = name, to
        versions = versions_of(server.management, name)
        current = default_of(versions)
        entry.before = current.version if current else None
        if current is None:
            known = ", ".join(sorted(server.management.names()))
            raise NoVersion(f"the server has no model {name}.", fix=f"name one of: {known or 'none is loaded'}.")
        version = entry.after = _chosen(server, current, versions, to)
        loaded = next((v for v in versions if v.version == version), None)
        if loaded is not None and loaded.ready == 0:
            raise VersionFailed(
                f"{loaded.label} is loaded, and none of its workers answers: {current.label} stays the default.",
                fix="read the server's log, or give --to another version.",
            )
        with on_trial(server, name, version, current) as trial:
            if loaded is None:
                _load(server, current, version, trial, timeout=timeout, show=show)
            trial.switch()
            default = trial.memory.rolled_back(version) if trial.memory else Default(version)
            is_remembered = remember(server, name, default)
        if not is_remembered:
            not_remembered(server, name, version)
    return RolledBack(name, current.version, version, loaded is None)


def _chosen(server: Server, current: Version, versions: Sequence[Version], to: str | None) -> str:
    """The version to go back to: what was asked for, else the one before, or if none is remembered the only other."""
    loaded = [version.version for version in versions if not version.is_default]
    if to is not None:
        if to == current.version:
            raise NoVersion(f"{current.label} is the default already.", fix=_others(current.name, loaded))
        if to in loaded or find_anywhere(server.store, current.name, to):
            return to
        raise NoVersion(
            f"{current.name} {to} is not loaded, and not in {server.store}.", fix=_others(current.name, loaded)
        )
    memory = remembered(server, current.name)
    for version in reversed(memory.before if memory else ()):
        if version != current.version and (version in loaded or find_anywhere(server.store, current.name, version)):
            return version
    if len(loaded) == 1 and memory is None:  # with a history, the other one may be what was just left
        return loaded[0]
    found = "several other versions are loaded" if loaded else "no other version is loaded"
    raise NoVersion(
        f"it is not known which version was the default before {current.label}, and {found}."
        if memory is None
        else f"no version is remembered that was the default before {current.label}.",
        fix=_others(current.name, loaded),
    )


def _load(server: Server, current: Version, version: str, trial: Trial, *, timeout: float, show: Show) -> None:
    """Load a version from the store and prove it."""
    name = current.name
    found = find_anywhere(server.store, name, version)
    if found is None:
        raise NoVersion(f"{name} {version} is not in {server.store}.", fix="deploy its archive again.")
    archive = read_archive(found)
    golden = read_golden(found)
    file = found
    if found.parent != server.store:
        file = bring_back(server.store, found)
        trial.put_back = partial(set_aside, file)  # or it might keep the server from starting
    trial.load(file, max(archive.workers, current.asked), timeout=timeout, show=show)
    replay(server.client, name, version, golden, show)


def _others(name: str, loaded: Sequence[str]) -> str:
    if not loaded:
        return "deploy the archive of an earlier version."
    return f"`fastmar rollback {name} --to` one of: {', '.join(loaded)}."
