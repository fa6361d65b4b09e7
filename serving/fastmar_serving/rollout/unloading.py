"""Unload versions without aborting requests.

TorchServe kills the workers of a version immediately when it is unregistered. A version is therefore unloaded only
after its queue has been empty and its workers have been idle for a while. A request that names the version at the
moment of unloading is refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from fastmar_serving.archives import identify
from fastmar_serving.defaults import Default
from fastmar_serving.management import ManagementError
from fastmar_serving.notices import notice
from fastmar_serving.rollout.audit import UNLOAD, audit_entry
from fastmar_serving.rollout.errors import NoVersion, VersionInUse
from fastmar_serving.rollout.loading import find_version
from fastmar_serving.rollout.rollback import choose_version
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.store import move_to_unloaded
from fastmar_serving.rollout.versions import Version, versions_of
from fastmar_serving.run_directory import RunDirectory

POLL = 0.1  # seconds between two polls
IDLE_FOR = 2.0  # seconds without queued requests and without processor time
IDLE_TIMEOUT = 30.0  # seconds after which a version that still receives requests stays loaded


def versions_to_unload(versions: Sequence[Version], default: Default, newest: str, keep: int) -> list[Version]:
    """Versions beyond the first `keep`: the default, `newest`, the most recent former defaults, then by number.

    `newest` was deployed last, and need not be the default. These two are always kept.
    """
    order = [default.version, newest, *reversed(default.before)]
    by_age = sorted(versions, key=lambda v: order.index(v.version) if v.version in order else len(order))
    return [version for version in by_age[keep:] if version.version not in (default.version, newest)]


def unload_named(server: Server, name: str, version: str, show: Callable[[str], None]) -> None:
    """Unload one version.

    Raises:
        NoVersion: it is not loaded.
        VersionInUse: it is the default, or still receives requests.
    """
    with audit_entry(server, UNLOAD) as entry, server.exclusive():
        entry.model, entry.before = name, version
        found = find_version(server, name, version)
        if found is None:
            raise NoVersion(f"{name} {version} is not loaded.", fix="list the loaded versions with `fastmar models`.")
        if found.is_default:
            raise VersionInUse(
                f"{found.label} is the default.", fix=_another_default(server, found), code="version_is_default"
            )
        if not unload(server, found, show):
            fix = "try again when fewer requests name this version."
            raise VersionInUse(f"{found.label} could not be unloaded.", fix=fix)


def unload_model(server: Server, name: str, show: Callable[[str], None]) -> None:
    """Unload all versions of a model, the default last; its callers get 404 from then on.

    Raises:
        NoVersion: it is not loaded.
        VersionInUse: a version still receives requests; it and the default stay loaded.
    """
    with server.exclusive():
        versions = versions_of(server.management, name)
        if not versions:
            raise NoVersion(f"{name} is not loaded.", fix="list the loaded models with `fastmar models`.")
        for version in sorted(versions, key=lambda version: version.is_default):
            with audit_entry(server, UNLOAD) as entry:
                entry.model, entry.before = name, version.version
                if not unload(server, version, show):
                    fix = f"stop its callers, then run `fastmar models --remove {name}` again."
                    raise VersionInUse(f"{version.label} could not be unloaded.", fix=fix)


def _announce_removal(server: Server, name: str) -> None:
    """Tell TorchServe's launcher that a model is removed on purpose: without it, the server counts as not ready."""
    if server.run_dir is None:
        return
    try:
        with RunDirectory(server.run_dir).removals_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(name) + "\n")
    except OSError as error:
        notice(f"the server at {server.url} may count as not ready without {name}: {error.strerror or error}.")


def _another_default(server: Server, default: Version) -> str:
    """The fix that makes another version the default."""
    versions = versions_of(server.management, default.name)
    try:
        choose_version(server, default, versions, None)
    except NoVersion as error:
        if len(versions) > 1:
            return error.fix  # the versions to choose from
        return f"deploy another version first. To serve none, run `fastmar models --remove {default.name}`."
    return f"run `fastmar rollback {default.name}` first, or deploy another version."


def unload(server: Server, version: Version, show: Callable[[str], None]) -> bool:
    """Unload a version and move its archive to `unloaded`. Returns False if it stays, being busy or needed.

    If the file contains another version by now, it stays: the next start may need it.
    """
    file = server.store / version.file
    show(f"Waiting until {version.label} is idle")
    if not _becomes_idle(server, version):
        notice(f"{version.label} stays loaded: it still receives requests.")
        return False
    if version.is_default:
        _announce_removal(server, version.name)
    try:
        server.management.unregister(version.name, version.version)
    except ManagementError as error:
        notice(f"{version.label} stays loaded: {error.message}.")
        return False
    if identify(file) != (version.name, version.version):
        if file.exists():
            notice(f"{version.file} stays in the model store: it no longer contains {version.label}.")
        return True
    try:
        move_to_unloaded(file)
    except OSError as error:
        reason = error.strerror or error
        notice(f"{version.file} can't be moved out of the model store ({reason}): the next start loads it again.")
    return True


def _becomes_idle(server: Server, version: Version) -> bool:
    deadline = time.monotonic() + IDLE_TIMEOUT
    last_used, idle_since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        now = find_version(server, version.name, version.version)
        if now is None or now.is_default != version.is_default:
            return False
        used = _processor_time(now)
        if now.queue or used != last_used:
            last_used, idle_since = used, time.monotonic()
        elif time.monotonic() - idle_since >= IDLE_FOR:
            return True
        time.sleep(POLL)
    return False


def _processor_time(version: Version) -> float:
    """Processor time of its workers in seconds, counting processes of this machine only."""
    import psutil  # noqa: PLC0415 - a dependency of the server, not of the command line

    used = 0.0
    for _, pid in version.workers.values():
        try:
            times = psutil.Process(pid).cpu_times() if pid > 0 else None
        except psutil.Error:
            continue
        used += times.user + times.system if times else 0.0
    return used
