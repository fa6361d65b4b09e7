"""The loaded versions of a model, read from the management API."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_serving.archives import version_key
from fastmar_serving.management import READY, Management, ManagementError


@dataclass(frozen=True)
class Version:
    """One version of a model on a server.

    Attributes:
        name: name of the model.
        version: number of the version.
        file: file name of its archive in the model store.
        is_default: whether it answers requests that name no version.
        target_workers: configured number of workers.
        workers: status and process id of each worker, by TorchServe's worker id.
        queue: number of requests that wait for a worker.
        batch_size: maximum number of requests in a batch.
        since: start time of its first worker, None without workers.
        memory: bytes of memory that its workers use, None if unknown.
    """

    name: str
    version: str
    file: str
    is_default: bool
    target_workers: int
    workers: dict[str, tuple[str, int]]
    queue: int
    batch_size: int
    since: datetime | None
    memory: int | None

    @property
    def label(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}"

    @property
    def ready(self) -> int:
        """Number of ready workers."""
        return sum(status == READY for status, _ in self.workers.values())


def versions_of(management: Management, name: str) -> list[Version]:
    """The loaded versions of a model, the newest first; empty for an unknown model."""
    try:
        default = management.describe_default(name)[0]["modelVersion"]
        described = management.describe(name)
    except ManagementError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        return []
    versions = [_version(description, description["modelVersion"] == default) for description in described]
    return sorted(versions, key=lambda version: version_key(version.version), reverse=True)


def default_of(versions: list[Version]) -> Version | None:
    """The default version, None if there is none."""
    return next((version for version in versions if version.is_default), None)


def _version(description: dict[str, Any], is_default: bool) -> Version:
    workers = description["workers"]
    started = [moment for worker in workers if (moment := _moment(worker.get("startTime")))]
    memory = sum(worker.get("memoryUsage") or 0 for worker in workers) or _resident(workers)
    return Version(
        name=description["modelName"],
        version=description["modelVersion"],
        file=description["modelUrl"],
        is_default=is_default,
        target_workers=description["minWorkers"],
        workers={worker["id"]: (worker["status"], worker["pid"]) for worker in workers},
        queue=description.get("jobQueueStatus", {}).get("pendingRequests", 0),
        batch_size=description["batchSize"],
        since=min(started, default=None),
        memory=memory or None,
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _resident(workers: list[dict[str, Any]]) -> int:
    """Resident memory of the workers that are processes of this machine: TorchServe itself may report 0."""
    import psutil  # noqa: PLC0415 - a dependency of the server, not of the command line

    total = 0
    for worker in workers:
        try:
            process = psutil.Process(worker["pid"]) if worker["pid"] > 0 else None
            if process and any("model_service_worker" in word for word in process.cmdline()):
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
