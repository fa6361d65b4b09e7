"""Loading a version beside those that are served, and proving that it answers as it did at export."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from fastmar_serving.rollout.errors import VersionFailed
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.versions import Version, versions_of
from fastmar_serving.torchserve.logs import FAILURES
from fastmar_serving.torchserve.management import READY, ManagementError

POLL = 0.1  # seconds between two looks at a version that is loading
WORDS_WITHIN = 10.0  # seconds in which a dead worker's last words arrive, also on a machine that is busy

Show = Callable[[str], None]


def register(server: Server, name: str, version: str, file: Path) -> None:
    """Have TorchServe unpack a file of its store and start workers for it.

    Raises:
        VersionFailed: it does not take it; nothing is registered.
    """
    try:
        server.management.register(file.name)
    except ManagementError as error:
        raise VersionFailed(
            f"TorchServe does not take {file.name} for {name} {version}: {error.message}.",
            fix="check that the server loads from this model store; `fastmar doctor` on the archive says more.",
        ) from error


def wait_until_ready(
    server: Server, name: str, version: str, file: Path, workers: int, *, timeout: float, show: Show
) -> None:
    """Wait until as many workers of a version are READY.

    Raises:
        VersionFailed: a worker fails, or the time is over; the version is registered all the same.
    """
    deadline = time.monotonic() + timeout
    seen: dict[str, int] = {}
    asked = 0
    while True:
        loaded = find_version(server, name, version)
        if loaded is None:
            raise VersionFailed(f"{name} {version} was unregistered while it loaded.", fix="deploy it again.")
        if loaded.ready >= workers:
            return
        if max(asked, loaded.asked) < workers:
            server.management.begin_scaling(name, version, workers)
            asked = workers
        if (dead := _dead_worker(loaded, seen)) is not None:
            raise _failed(server, loaded, dead, file)
        if time.monotonic() > deadline:
            raise VersionFailed(
                f"{loaded.label} has {loaded.ready} of {workers} workers ready after {timeout:g} s.",
                fix="give a longer --timeout; `fastmar doctor` on the archive loads it without TorchServe.",
            )
        show(f"Loading {loaded.label}: {loaded.ready} of {workers} workers ready")
        time.sleep(POLL)


def find_version(server: Server, name: str, version: str) -> Version | None:
    """A version as it is now, None where it is not loaded."""
    return next((v for v in versions_of(server.management, name) if v.version == version), None)


def _dead_worker(version: Version, seen: dict[str, int]) -> str | None:
    """A worker that got another process before it was ready: TorchServe starts those again that fail."""
    for worker, (status, pid) in version.workers.items():
        if status != READY and pid > 0 and seen.setdefault(worker, pid) != pid:
            return worker
    return None


def _failed(server: Server, version: Version, worker: str, file: Path) -> VersionFailed:
    doctor = f"run `fastmar doctor {file}`, which loads it without TorchServe and says more."
    reason, fix = _last_words(server.run_dir, worker)
    deadline = time.monotonic() + (WORDS_WITHIN if server.run_dir else 0)  # elsewhere nobody writes them down for us
    while reason is None and time.monotonic() < deadline:  # its death may be known before its words are written down
        time.sleep(POLL)
        reason, fix = _last_words(server.run_dir, worker)
    if reason is None:
        return VersionFailed(
            f"a worker of {version.label} died while it loaded.", fix=f"read the server's log, or {doctor}"
        )
    return VersionFailed(f"{version.label} does not load: {reason}", fix=f"{fix} Or {doctor}" if fix else doctor)


def _last_words(run_dir: Path | None, worker: str) -> tuple[str | None, str | None]:
    """Why a worker died and what to do about it, as the launcher wrote it down."""
    try:
        told = json.loads((run_dir / FAILURES).read_text("utf-8"))[worker] if run_dir else {}
        return told.get("reason"), told.get("fix")
    except (OSError, ValueError, KeyError, AttributeError):
        return None, None
