"""Readiness as the management API tells it: every worker of every model READY.

`/ping` is green while workers are still loading, so it is not asked.
"""

from __future__ import annotations

from typing import Any

from fastmar_serving.torchserve.archives import Archive
from fastmar_serving.torchserve.management import Management


def ready(management: Management, archives: list[Archive], workers: int | None = None) -> list[Archive]:
    """The archives whose workers are all READY, as many of them as asked for: `workers`, else what the archive says.

    Raises OSError while nothing listens, ManagementError 404 for a model that TorchServe did not register.
    """
    descriptions = {name: management.describe(name) for name in {archive.name for archive in archives}}
    return [archive for archive in archives if _is_ready(archive, descriptions[archive.name], workers)]


def _is_ready(archive: Archive, versions: list[dict[str, Any]], workers: int | None) -> bool:
    for version in versions:
        if version["modelVersion"] == archive.version:
            states = [worker["status"] for worker in version["workers"]]
            return len(states) >= (workers or archive.workers) and all(state == "READY" for state in states)
    return False
