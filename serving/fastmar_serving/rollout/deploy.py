"""`fastmar deploy`: load a new version beside the default, replay its golden records, compare, and switch.

The old version stays the default until the last step. If a step fails, the new version is unloaded again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_contract.agreement import TOLERANCE
from fastmar_serving.archives import Archive, identify, read_archive
from fastmar_serving.defaults import Default
from fastmar_serving.notices import notice
from fastmar_serving.rollout.audit import DEPLOY, FAILED, SUCCESS, UNLOAD, Entry, audit_entry, digest
from fastmar_serving.rollout.candidate import Candidate, candidate_version
from fastmar_serving.rollout.checks import breaking_changes, refuse_breaking, refuse_new_errors
from fastmar_serving.rollout.errors import (
    AnswersChanged,
    GoldenRecordsMissing,
    NothingCompared,
    VersionFailed,
    VersionTaken,
)
from fastmar_serving.rollout.golden import Golden, read_golden, replay
from fastmar_serving.rollout.loading import Show, find_version
from fastmar_serving.rollout.requests import Request, read_requests, sample
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.shadow import Shadow, compare_versions
from fastmar_serving.rollout.store import put_in_store, same_file
from fastmar_serving.rollout.switching import read_default, save_default, warn_not_saved
from fastmar_serving.rollout.unloading import unload, versions_to_unload
from fastmar_serving.rollout.versions import Version, default_of, versions_of

if TYPE_CHECKING:
    from fastmar_serving.rollout.changes import Change

MAX_NAMED_FILES = 3  # more files of requests are counted instead


@dataclass(frozen=True)
class DeployOptions:
    """Options of a deployment.

    Attributes:
        archive: file of the new version.
        requests: files of requests for the comparison; if empty, the golden records of both versions are compared.
        sample: maximum number of requests.
        max_changed: share of predictions that may change; None allows any.
        tolerance: relative difference above which a predicted number counts as changed.
        timeout: limit for loading, in seconds.
        keep: number of versions that stay loaded, always including the default and the new one; None keeps all.
        default: whether to make the new version the default.
        accepted: waived checks, from `check_names.WAIVABLE`.
    """

    archive: Path
    requests: Sequence[str] = ()
    sample: int = 100
    max_changed: float | None = None
    tolerance: float = TOLERANCE
    timeout: float = 120.0
    keep: int | None = None
    default: bool = True
    accepted: frozenset[str] = frozenset()


@dataclass
class DeployResult:
    """Result of a deployment, filled step by step; incomplete after a failure.

    Attributes:
        name: name of the model.
        version: the new version.
        before: the previous default version, None for a new model.
        workers: number of workers of the new version.
        seconds: duration of loading.
        golden: number of reproduced golden records.
        golden_difference: largest difference of a number in them.
        shadow: comparison of the two versions' answers; None for a new model.
        default: whether the new version is the default now.
        unloaded: versions that were unloaded because of `keep`.
        breaking: breaking changes from the previous default version.
        accepted: waived checks.
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
        """The output of `--json`."""
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


def deploy(server: Server, options: DeployOptions, result: DeployResult, show: Show) -> None:
    """Deploy a version and fill `result`, also when a step fails.

    Raises:
        FastmarError: the archive, the model store, the server or an answer prevents the deployment.
        ClientError: the inference API can't be reached, or rejects the key.
    """
    with audit_entry(server, DEPLOY) as entry:
        entry.details = {"archive": str(options.archive.absolute()), "sha256": digest(options.archive)}
        _deploy(server, options, result, show, entry)


def _deploy(server: Server, options: DeployOptions, result: DeployResult, show: Show, entry: Entry) -> None:
    archive = read_archive(options.archive)
    entry.model, entry.after = archive.name, archive.version
    golden = read_golden(options.archive)
    requests = sample(read_requests(options.requests, options.archive), options.sample)
    with server.exclusive():
        versions = versions_of(server.management, archive.name)
        current = default_of(versions)
        entry.before = current.version if current else None
        is_loaded = _is_loaded(server, archive, versions)
        result.name, result.version = archive.name, archive.version
        result.before = entry.before
        result.accepted = sorted(options.accepted)
        entry.details |= {"default": options.default, "accepted": result.accepted}
        if current is not None:
            result.breaking = breaking_changes(server, current, archive)
            entry.details["breaking"] = sorted({change.where for change in result.breaking})
            if options.default:
                refuse_breaking(current, archive, result.breaking, options.accepted)
        with candidate_version(server, archive.name, archive.version, current) as candidate:
            is_saved = current is None or _save_current(server, current, candidate.saved)
            if not is_loaded:
                _load(server, archive, current, options.timeout, result, candidate, show)
            result.golden_difference = replay(server.client, archive.name, archive.version, golden, show)
            result.golden = len(golden.records)
            if current is not None:
                _shadow(server, current, golden, requests, options, result, show)
                _note_errors(entry, result.shadow)
            if options.default:
                refuse_new_errors(result.shadow, options.accepted)
            _refuse_changed(options, result.shadow)
            if options.default:
                _refuse_without_workers(server, archive)
                candidate.switch()
            switches = options.default or current is None
            if switches:
                is_saved = save_default(server, archive.name, _switched(server, archive, current))
        result.default = switches
        entry.write(SUCCESS)
        if not is_saved:
            warn_not_saved(server, archive.name, result.version if result.default else str(result.before))
        if options.keep is not None:
            _unload_others(server, archive.name, options.keep, result, show)


def _note_errors(entry: Entry, shadow: Shadow | None) -> None:
    if shadow is not None:
        entry.details |= {"compared": shadow.answers, "new_errors": shadow.newly_failing, "changed": shadow.changed}


def _is_loaded(server: Server, archive: Archive, versions: Sequence[Version]) -> bool:
    """Whether the same archive is loaded already, and is not the default.

    Raises:
        VersionTaken: the version is the default, or was loaded from another archive.
    """
    loaded = next((version for version in versions if version.version == archive.version), None)
    if loaded is None:
        return False
    file = server.store / loaded.file
    is_same = file.is_file() and same_file(file, archive.path)
    if is_same and not loaded.is_default:
        return True
    fix = "export the learner with another --version."
    if is_same:
        raise VersionTaken(
            f"this archive of {archive.label} is loaded already, and is the default.",
            fix="nothing is to be done; to deploy another learner, export it with another --version.",
            code="version_is_default",
        )
    if loaded.is_default:
        raise VersionTaken(
            f"{archive.label} is loaded already, and is the default.", fix=fix, code="version_is_default"
        )
    raise VersionTaken(f"{archive.label} is loaded already, from another archive.", fix=fix)


def _save_current(server: Server, current: Version, saved: Default | None) -> bool:
    """Save the current default before a newer archive is in the store: without it, a restart takes the newest."""
    return save_default(server, current.name, saved.switched(current.version) if saved else Default(current.version))


def _load(
    server: Server,
    archive: Archive,
    current: Version | None,
    timeout: float,
    result: DeployResult,
    candidate: Candidate,
    show: Show,
) -> None:
    file, is_copy = put_in_store(archive, server.store, show)
    candidate.undo_file = file.unlink if is_copy else None
    if current is not None and identify(server.store / current.file) != (current.name, current.version):
        notice(f"{current.file} no longer contains {current.label}: that version is lost when the server stops.")
    began = time.monotonic()
    # The default version may have been scaled to more workers than its archive configures.
    result.workers = max(archive.workers, current.target_workers if current else 0)
    candidate.load(file, result.workers, timeout=timeout, show=show)
    result.seconds = time.monotonic() - began


def _shadow(
    server: Server,
    current: Version,
    golden: Golden,
    requests: list[Request],
    options: DeployOptions,
    result: DeployResult,
    show: Show,
) -> None:
    if current.ready == 0:
        if options.max_changed is not None:
            raise _nothing_compared(current, f"{current.label} has no ready worker", "no_ready_worker")
        notice(f"{current.label} has no ready worker: skipped the comparison of answers.")
        return
    source = f"{len(options.requests)} files"
    if len(options.requests) <= MAX_NAMED_FILES:
        source = ", ".join(options.requests)
    if not options.requests:
        source = "golden records"
        requests = sample(_golden_requests(server, current, golden), options.sample)
    result.shadow = Shadow(current.version, result.version, source, options.tolerance)
    compare_versions(server.client, current.name, result.shadow, requests, show)
    if options.max_changed is None and (not options.requests or result.shadow.newly_answered):
        return
    if not requests:
        raise _nothing_compared(current, f"{source} has no readable request", "no_requests")
    if not result.shadow.predicted:
        reason = f"{current.label} answers each of the {len(requests)} requests with an error"
        raise _nothing_compared(current, reason, "no_predictions")


def _refuse_changed(options: DeployOptions, shadow: Shadow | None) -> None:
    if shadow is None or options.max_changed is None:
        return
    if shadow.share_changed > options.max_changed:
        fix = "check the changes above; if they are intended, give a larger --max-changed"
        if shadow.has_numbers:
            fix += f", or a --tolerance above {options.tolerance:g}, the relative change of a number that is ignored"
        raise AnswersChanged(
            f"{shadow.share_changed:.1%} of the predictions change from {shadow.old} to {shadow.new}; "
            f"the limit is {options.max_changed:.1%}.",
            fix=f"{fix}.",
        )


def _nothing_compared(current: Version, reason: str, code: str) -> NothingCompared:
    return NothingCompared(
        f"{reason}, so no predictions can be compared.",
        fix=f"give --requests that {current.label} answers, or leave out --requests and --max-changed.",
        code=code,
    )


def _golden_requests(server: Server, current: Version, golden: Golden) -> list[Request]:
    """The golden records of both versions, without duplicates."""
    requests = golden.as_requests()
    file = server.store / current.file
    if identify(file) == (current.name, current.version):
        with suppress(GoldenRecordsMissing):
            requests += read_golden(file).as_requests()
    return list({request.data: request for request in reversed(requests)}.values())[::-1]


def _refuse_without_workers(server: Server, archive: Archive) -> None:
    loaded = find_version(server, archive.name, archive.version)
    if loaded is None or loaded.ready == 0:
        raise VersionFailed(
            f"{archive.label} has no ready worker any more.", fix="read the server's log.", code="no_ready_worker"
        )


def _switched(server: Server, archive: Archive, current: Version | None) -> Default:
    saved = read_default(server, archive.name) or Default(current.version if current else archive.version)
    return saved.switched(archive.version)


def _unload_others(server: Server, name: str, keep: int, result: DeployResult, show: Show) -> None:
    versions = versions_of(server.management, name)
    default = default_of(versions)
    if default is None:
        return
    saved = read_default(server, name)
    if saved is None or saved.version != default.version:
        saved = Default(default.version)
    for version in versions_to_unload(versions, saved, result.version, keep):
        with audit_entry(server, UNLOAD) as entry:
            entry.model, entry.before = name, version.version
            if unload(server, version, show):
                result.unloaded.append(version.version)
            else:
                entry.write(FAILED)
