"""`fastmar deploy`: load a new version beside the default, replay its golden records, compare, and switch.

Until the last step the old version answers every request that names no version. If anything fails before that, or the
new version is refused, it is unloaded again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_serving.notices import notice
from fastmar_serving.rollout.asking import Asked, read_requests, sample
from fastmar_serving.rollout.audit import DEPLOY, FAILED, SUCCESS, UNLOAD, Entry, audited, digest
from fastmar_serving.rollout.checks import breaking_changes, refuse_breaking, refuse_new_errors
from fastmar_serving.rollout.errors import AnswersChanged, NothingCompared, NothingToProve, VersionFailed, VersionTaken
from fastmar_serving.rollout.golden import Golden, read_golden, replay
from fastmar_serving.rollout.loading import Show, find_version
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.shadow import Shadow, compare_versions
from fastmar_serving.rollout.store import place, same_file
from fastmar_serving.rollout.switching import not_remembered, remember, remembered
from fastmar_serving.rollout.trial import Trial, on_trial
from fastmar_serving.rollout.unloading import older_than, unload
from fastmar_serving.rollout.versions import Version, default_of, versions_of
from fastmar_serving.torchserve.archives import Archive, identify, read_archive
from fastmar_serving.torchserve.defaults import Default

if TYPE_CHECKING:
    from fastmar_serving.rollout.changes import Change

SEVERAL = 4  # files of requests that are counted rather than named


@dataclass(frozen=True)
class Wanted:
    """What is asked of a deployment.

    Attributes:
        archive: the new version's file.
        requests: files of requests to compare the two versions on; none takes the golden records of both.
        sample: how many of them, at most.
        max_changed: share of predictions that may change; None allows any.
        timeout: seconds that loading may take.
        keep: how many versions stay loaded, the default and the new one in any case; None keeps all.
        default: whether it is to become the default.
        accepted: checks that are waived, names of `options.ACCEPTABLE`.
    """

    archive: Path
    requests: Sequence[str] = ()
    sample: int = 100
    max_changed: float | None = None
    timeout: float = 120.0
    keep: int | None = None
    default: bool = True
    accepted: frozenset[str] = frozenset()


@dataclass
class Deployed:
    """What was found and done, filled step by step.

    Attributes:
        name: the model's.
        version: the new one.
        before: the version that answered before, None for a new model.
        workers: of the new version.
        seconds: that loading took.
        golden: how many golden records were reproduced.
        golden_difference: largest difference of a number in them.
        shadow: how the two versions' answers differ; None for a new model.
        default: whether the new version answers now.
        unloaded: versions that were ended for `keep`.
        breaking: changes that break callers of the version before.
        accepted: checks that were waived.
    """

    name: str = ""
    version: str = ""
    before: str | None = None
    workers: int = 0
    seconds: float = 0.0
    golden: int = 0
    golden_difference: float = 0.0
    shadow: Shadow | None = None
    default: bool = False
    unloaded: list[str] = field(default_factory=list)
    breaking: Sequence[Change] = ()
    accepted: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "version": self.version,
            "before": self.before,
            "default": self.default,
            "workers": self.workers,
            "seconds": round(self.seconds, 3),
            "golden": {"records": self.golden, "difference": self.golden_difference},
            "shadow": self.shadow.as_dict() if self.shadow else None,
            "unloaded": self.unloaded,
            "breaking": [change.as_dict() for change in self.breaking],
            "accepted": self.accepted,
        }


def deploy(server: Server, wanted: Wanted, deployed: Deployed, show: Show) -> None:
    """See the module. `deployed` is filled as far as it comes.

    Raises:
        FastmarError: the archive, the store, the server or the new version's answers are in the way.
        ClientError: the server's inference API is.
    """
    with audited(server, DEPLOY) as entry:
        entry.details = {"archive": str(wanted.archive.absolute()), "sha256": digest(wanted.archive)}
        _deploy(server, wanted, deployed, show, entry)


def _deploy(server: Server, wanted: Wanted, deployed: Deployed, show: Show, entry: Entry) -> None:
    archive = read_archive(wanted.archive)
    entry.model, entry.after = archive.name, archive.version
    golden = read_golden(wanted.archive)
    requests = sample(read_requests(wanted.requests, wanted.archive), wanted.sample)
    with server.alone():
        versions = versions_of(server.management, archive.name)
        current = default_of(versions)
        entry.before = current.version if current else None
        is_loaded = _refuse_taken(server, archive, versions)
        deployed.name, deployed.version = archive.name, archive.version
        deployed.before = entry.before
        deployed.accepted = sorted(wanted.accepted)
        entry.details |= {"default": wanted.default, "accepted": deployed.accepted}
        if current is not None:
            deployed.breaking = breaking_changes(server, current, archive)
            entry.details["breaking"] = sorted({change.where for change in deployed.breaking})
            if wanted.default:
                refuse_breaking(current, archive, deployed.breaking, wanted.accepted)
        with on_trial(server, archive.name, archive.version, current) as trial:
            is_remembered = current is None or _pin(server, current, trial.memory)
            if not is_loaded:
                _load(server, archive, current, wanted.timeout, deployed, trial, show)
            deployed.golden_difference = replay(server.client, archive.name, archive.version, golden, show)
            deployed.golden = len(golden.records)
            if current is not None:
                _shadow(server, current, golden, requests, wanted, deployed, show)
                _note_errors(entry, deployed.shadow)
            if wanted.default:
                refuse_new_errors(deployed.shadow, wanted.accepted)
            _refuse_changed(wanted, deployed.shadow)
            if wanted.default:
                _refuse_dead(server, archive)
                trial.switch()
            switches = wanted.default or current is None
            if switches:
                is_remembered = remember(server, archive.name, _switched(server, archive, current))
        deployed.default = switches
        entry.write(SUCCESS)
        if not is_remembered:
            not_remembered(server, archive.name, deployed.version if deployed.default else str(deployed.before))
        if wanted.keep is not None:
            _keep(server, archive.name, wanted.keep, deployed, show)


def _note_errors(entry: Entry, shadow: Shadow | None) -> None:
    if shadow is not None:
        entry.details |= {"compared": shadow.answers, "new_errors": shadow.broken, "changed": shadow.changed}


def _refuse_taken(server: Server, archive: Archive, versions: Sequence[Version]) -> bool:
    """Whether this very archive is loaded already, and only waits to become the default."""
    loaded = next((version for version in versions if version.version == archive.version), None)
    if loaded is None:
        return False
    file = server.store / loaded.file
    if not loaded.is_default and file.is_file() and same_file(file, archive.path):
        return True
    raise VersionTaken(
        f"{archive.label} is served already"
        + (" and is the default." if loaded.is_default else ", from another archive."),
        fix="export the learner with another --version.",
    )


def _pin(server: Server, current: Version, memory: Default | None) -> bool:
    """Remember what answers now before another archive comes into the store: a restart may begin with that one else."""
    return remember(server, current.name, memory.switched(current.version) if memory else Default(current.version))


def _load(
    server: Server,
    archive: Archive,
    current: Version | None,
    timeout: float,
    deployed: Deployed,
    trial: Trial,
    show: Show,
) -> None:
    file, is_copy = place(archive, server.store, show)
    trial.put_back = file.unlink if is_copy else None
    if current is not None and identify(server.store / current.file) != (current.name, current.version):
        notice(f"{current.file} does not hold {current.label} any more: it is lost once the server stops.")
    began = time.monotonic()
    # As many workers as the version that is to be relieved, which may have been given more than its archive asks for.
    deployed.workers = max(archive.workers, current.asked if current else 0)
    trial.load(file, deployed.workers, timeout=timeout, show=show)
    deployed.seconds = time.monotonic() - began


def _shadow(
    server: Server,
    current: Version,
    golden: Golden,
    requests: list[Asked],
    wanted: Wanted,
    deployed: Deployed,
    show: Show,
) -> None:
    if current.ready == 0:
        if wanted.max_changed is not None:
            raise _nothing_compared(current, f"{current.label} has no worker that answers")
        notice(f"{current.label} has no worker that answers: there is nothing to compare with.")
        return
    source = ", ".join(wanted.requests) if len(wanted.requests) < SEVERAL else f"{len(wanted.requests)} files"
    if not wanted.requests:
        source = "golden records"
        requests = sample(_golden_requests(server, current, golden), wanted.sample)
    deployed.shadow = Shadow(current.version, deployed.version, source)
    compare_versions(server.client, current.name, deployed.shadow, requests, show)
    if wanted.max_changed is None:
        return
    if not requests:
        raise _nothing_compared(current, f"there is no request in {source}")
    if not deployed.shadow.predicted:
        raise _nothing_compared(current, f"{current.label} answers each of the {len(requests)} requests with an error")


def _refuse_changed(wanted: Wanted, shadow: Shadow | None) -> None:
    if shadow is None or wanted.max_changed is None:
        return
    if shadow.share_changed > wanted.max_changed:
        raise AnswersChanged(
            f"{shadow.share_changed:.1%} of the predictions change from {shadow.old} to {shadow.new}, "
            f"more than {wanted.max_changed:.1%}.",
            fix="look at the changes above; where they are meant, give a larger --max-changed.",
        )


def _nothing_compared(current: Version, reason: str) -> NothingCompared:
    return NothingCompared(
        f"{reason}: nothing tells how many predictions change.",
        fix=f"give --requests that {current.label} answers, or leave out --max-changed.",
    )


def _golden_requests(server: Server, current: Version, golden: Golden) -> list[Asked]:
    """The golden records of both versions, each record once."""
    requests = golden.asked()
    file = server.store / current.file
    if identify(file) == (current.name, current.version):
        with suppress(NothingToProve):
            requests += read_golden(file).asked()
    return list({asked.data: asked for asked in reversed(requests)}.values())[::-1]


def _refuse_dead(server: Server, archive: Archive) -> None:
    loaded = find_version(server, archive.name, archive.version)
    if loaded is None or loaded.ready == 0:
        raise VersionFailed(f"no worker of {archive.label} answers any more.", fix="read the server's log.")


def _switched(server: Server, archive: Archive, current: Version | None) -> Default:
    memory = remembered(server, archive.name) or Default(current.version if current else archive.version)
    return memory.switched(archive.version)


def _keep(server: Server, name: str, keep: int, deployed: Deployed, show: Show) -> None:
    versions = versions_of(server.management, name)
    default = default_of(versions)
    if default is None:
        return
    memory = remembered(server, name)
    if memory is None or memory.version != default.version:
        memory = Default(default.version)
    for version in older_than(versions, memory, deployed.version, keep):
        with audited(server, UNLOAD) as entry:
            entry.model, entry.before = name, version.version
            if unload(server, version, show):
                deployed.unloaded.append(version.version)
            else:
                entry.write(FAILED)
