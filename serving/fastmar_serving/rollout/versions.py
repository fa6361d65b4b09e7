"""What is loaded: versions of a model as the management API tells of them."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastmar_serving.torchserve.archives import version_key
from fastmar_serving.torchserve.management import READY, Management, ManagementError


@dataclass(frozen=True)
class Version:
    """One version of a model on a server.

    Attributes:
        name: the model's.
        version: its own.
        file: name of its archive in the model store.
        is_default: whether it answers where no version is named.
        asked: workers that it is to have.
        workers: status and process id of each that it has, by TorchServe's id of it.
        queue: requests that wait for a worker.
        batch_size: requests that a worker answers at once, at most.
        since: when its first worker was started, None without workers.
        memory: bytes that its workers take as the server knows it, None if it doesn't.
    """

    name: str
    version: str
    file: str
    is_default: bool
    asked: int
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
        """Workers that answer."""
        return sum(status == READY for status, _ in self.workers.values())


def versions_of(management: Management, name: str) -> list[Version]:
    """The versions of a model that are loaded, the newest first; none for a model that the server does not know."""
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
    """The one that answers."""
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
        asked=description["minWorkers"],
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
    """What the workers' processes hold, where they are processes of this machine: TorchServe itself says 0."""
    import psutil  # noqa: PLC0415 - part of what the server needs, not of what the command line needs

    total = 0
    for worker in workers:
        try:
            process = psutil.Process(worker["pid"]) if worker["pid"] > 0 else None
            if process and any("model_service_worker" in word for word in process.cmdline()):
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
