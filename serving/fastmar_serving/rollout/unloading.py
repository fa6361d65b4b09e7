"""Ending versions that nobody needs, without cutting off a request that one of them is answering.

TorchServe ends a version's workers at once, whatever they are doing. So a version is ended only when nothing waits for
it and its workers have not computed for a while. A request that names this very version as it is ended is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fastmar_serving.notices import notice
from fastmar_serving.rollout.audit import UNLOAD, audited
from fastmar_serving.rollout.errors import NoVersion, StillNeeded
from fastmar_serving.rollout.loading import find_version
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.store import set_aside
from fastmar_serving.rollout.versions import Version
from fastmar_serving.torchserve.archives import identify
from fastmar_serving.torchserve.defaults import Default
from fastmar_serving.torchserve.management import ManagementError

POLL = 0.1  # seconds between two looks at a version
IDLE_FOR = 2.0  # seconds without a request in the queue and without computing
GIVES_UP = 30.0  # seconds after which a version that is still asked stays


def older_than(versions: Sequence[Version], default: Default, newest: str, keep: int) -> list[Version]:
    """All but the last `keep`: the default, the newest, those before from the latest on, then by number.

    The newest is what was deployed last; it need not be the default. These two always stay.
    """
    order = [default.version, newest, *reversed(default.before)]
    by_age = sorted(versions, key=lambda v: order.index(v.version) if v.version in order else len(order))
    return [version for version in by_age[keep:] if version.version not in (default.version, newest)]


def unload_named(server: Server, name: str, version: str, show: Callable[[str], None]) -> None:
    """End one version.

    Raises:
        NoVersion: it is not loaded.
        StillNeeded: it is the default, or is asked all the time.
    """
    with audited(server, UNLOAD) as entry, server.alone():
        entry.model, entry.before = name, version
        found = find_version(server, name, version)
        if found is None:
            raise NoVersion(f"{name} {version} is not loaded.", fix="`fastmar models` lists what is.")
        if found.is_default:
            fix = f"`fastmar rollback {name}` first, or deploy another version."
            raise StillNeeded(f"{found.label} is the default.", fix=fix)
        if not unload(server, found, show):
            raise StillNeeded(f"{found.label} could not be unloaded.", fix="try again when fewer ask it by its number.")


def unload(server: Server, version: Version, show: Callable[[str], None]) -> bool:
    """End a version and set its archive aside; False where it is not idle, or is the default, and stays.

    A file that holds another version by now is left where it is: that one may be the next start's default.
    """
    file = server.store / version.file
    show(f"Waiting until nobody asks {version.label}")
    if not _becomes_idle(server, version):
        notice(f"{version.label} is still asked: it stays loaded.")
        return False
    try:
        server.management.unregister(version.name, version.version)
    except ManagementError as error:
        notice(f"{version.label} stays loaded: {error.message}.")
        return False
    if identify(file) != (version.name, version.version):
        if file.exists():
            notice(f"{version.file} does not hold {version.label} and stays in the model store.")
        return True
    try:
        set_aside(file)
    except OSError as error:
        said = error.strerror or error
        notice(f"{version.file} can't be moved out of the model store ({said}): the next start loads it again.")
    return True


def _becomes_idle(server: Server, version: Version) -> bool:
    deadline = time.monotonic() + GIVES_UP
    busy, quiet_since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        now = find_version(server, version.name, version.version)
        if now is None or now.is_default:
            return False
        computed = _computed(now)
        if now.queue or computed != busy:
            busy, quiet_since = computed, time.monotonic()
        elif time.monotonic() - quiet_since >= IDLE_FOR:
            return True
        time.sleep(POLL)
    return False


def _computed(version: Version) -> float:
    """Seconds of processor time that its workers have used, as far as they are processes of this machine."""
    import psutil  # noqa: PLC0415 - part of what the server needs, not of what the command line needs

    used = 0.0
    for _, pid in version.workers.values():
        try:
            times = psutil.Process(pid).cpu_times() if pid > 0 else None
        except psutil.Error:
            continue
        used += times.user + times.system if times else 0.0
    return used
