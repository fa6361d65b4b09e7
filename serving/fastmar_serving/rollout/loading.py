"""Load a version beside those that are loaded already, and wait until its workers are ready."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from fastmar_serving.management import READY, ManagementError
from fastmar_serving.rollout.errors import VersionFailed
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.versions import Version, versions_of
from fastmar_serving.run_directory import FAILURES
from fastmar_serving.storage import SPACE_FIX, is_full

POLL = 0.1  # seconds between two polls of a version that is loading
REASON_TIMEOUT = 10.0  # seconds to wait for the launcher to record why a worker died

Show = Callable[[str], None]


def register(server: Server, name: str, version: str, file: Path) -> None:
    """Make TorchServe unpack an archive of its model store and start a worker.

    Raises:
        VersionFailed: TorchServe refuses the archive; nothing is registered.
    """
    try:
        server.management.register(file.name)
    except ManagementError as error:
        if is_full(error.message):
            raise VersionFailed(
                f"the server can't unpack {file.name}: {error.message}.", fix=SPACE_FIX, code="disk_full"
            ) from error
        raise VersionFailed(
            f"the server refuses {file.name} for {name} {version}: {error.message}.",
            fix="check that the server uses this model store; run `fastmar doctor` on the archive.",
            code="registration_refused",
        ) from error


def wait_until_ready(
    server: Server, name: str, version: str, file: Path, workers: int, *, timeout: float, show: Show
) -> None:
    """Wait until `workers` workers of a version are READY, and start missing ones.

    Raises:
        VersionFailed: a worker fails, or the timeout is over; the version stays registered.
    """
    deadline = time.monotonic() + timeout
    seen: dict[str, int] = {}
    requested = 0
    while True:
        loaded = find_version(server, name, version)
        if loaded is None:
            raise VersionFailed(f"{name} {version} was unregistered while it loaded.", fix="deploy it again.")
        if loaded.ready >= workers:
            return
        if max(requested, loaded.target_workers) < workers:
            server.management.begin_scaling(name, version, workers)
            requested = workers
        if (dead := _dead_worker(loaded, seen)) is not None:
            raise _failed(server, loaded, dead, file)
        if time.monotonic() > deadline:
            raise VersionFailed(
                f"{loaded.label} has {loaded.ready} of {workers} workers ready after {timeout:g} s.",
                fix="give a longer --timeout, or run `fastmar doctor` on the archive to load it without TorchServe.",
                code="workers_not_ready",
            )
        show(f"Loading {loaded.label}: {loaded.ready} of {workers} workers ready")
        time.sleep(POLL)


def find_version(server: Server, name: str, version: str) -> Version | None:
    """The current state of a version, None if it is not loaded."""
    return next((v for v in versions_of(server.management, name) if v.version == version), None)


def _dead_worker(version: Version, seen: dict[str, int]) -> str | None:
    """A worker whose process id changed before it was ready: TorchServe restarts workers that fail."""
    for worker, (status, pid) in version.workers.items():
        if status != READY and pid > 0 and seen.setdefault(worker, pid) != pid:
            return worker
    return None


def _failed(server: Server, version: Version, worker: str, file: Path) -> VersionFailed:
    doctor = f"run `fastmar doctor {file}` to load it without TorchServe."
    reason, fix = _read_failure(server.run_dir, worker)
    deadline = time.monotonic() + (REASON_TIMEOUT if server.run_dir else 0)
    while reason is None and time.monotonic() < deadline:  # the launcher may record the reason after the worker's death
        time.sleep(POLL)
        reason, fix = _read_failure(server.run_dir, worker)
    if reason is None:
        return VersionFailed(
            f"a worker of {version.label} died while it loaded.",
            fix=f"read the server's log, or {doctor}",
            code="worker_died",
        )
    return VersionFailed(
        f"{version.label} does not load: {reason}", fix=f"{fix} Or {doctor}" if fix else doctor, code="load_failed"
    )


def _read_failure(run_dir: Path | None, worker: str) -> tuple[str | None, str | None]:
    """Reason and fix that the launcher recorded for a worker that died."""
    try:
        failure = json.loads((run_dir / FAILURES).read_text("utf-8"))[worker] if run_dir else {}
        return failure.get("reason"), failure.get("fix")
    except (OSError, ValueError, KeyError, AttributeError):
        return None, None
