"""Readiness at the start: all workers of all models are READY, according to the management API.

TorchServe's own `/ping` is no substitute: it reports success while workers are still loading.
"""

from __future__ import annotations

from typing import Any

from fastmar_serving.archives import Archive
from fastmar_serving.management import Management


def ready(management: Management, archives: list[Archive], workers: int | None = None) -> list[Archive]:
    """The archives whose workers are all READY: `workers` of them, else the number in the archive.

    Raises:
        OSError: the management API does not listen yet.
        ManagementError: with status 404, TorchServe did not register a model.
    """
    descriptions = {name: management.describe(name) for name in {archive.name for archive in archives}}
    return [archive for archive in archives if _is_ready(archive, descriptions[archive.name], workers)]


def _is_ready(archive: Archive, versions: list[dict[str, Any]], workers: int | None) -> bool:
    for version in versions:
        if version["modelVersion"] == archive.version:
            states = [worker["status"] for worker in version["workers"]]
            return len(states) >= (workers or archive.workers) and all(state == "READY" for state in states)
    return False
