"""Find workers that ended while they were ready: killed, for example for lack of memory, or crashed.

TorchServe starts a new process with the same worker id. As the parent of the workers it knows how they ended, but does
not say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmar_serving.management import READY
from fastmar_serving.torchserve.hangs import Worker


class Deaths:
    """Compares the workers of two polls."""

    def __init__(self) -> None:
        self._ready: dict[tuple[str, str, str], Worker] = {}  # by model, version and id of the worker

    def find(self, descriptions: Mapping[str, tuple[str, list[dict[str, Any]]]]) -> list[Worker]:
        """The workers that were ready at the last call, and whose id has another process now, or none.

        Workers that TorchServe ends because a version is unloaded, or gets fewer workers, are not among them.

        Args:
            descriptions: the default version of each model, and the management API's descriptions of its versions.
        """
        ended, ready = [], {}
        for name, (default, versions) in descriptions.items():
            for version in versions:
                keeps_all = len(version["workers"]) <= int(version.get("minWorkers", 0))
                for worker in version["workers"]:
                    key = (name, version["modelVersion"], str(worker.get("id")))
                    pid = worker.get("pid", 0) if worker["status"] == READY else 0
                    before = self._ready.get(key)
                    if before is not None and before.pid != pid and keeps_all:
                        ended.append(before)
                    if pid > 0:
                        ready[key] = Worker(name, version["modelVersion"], version["modelVersion"] == default, pid)
        self._ready = ready
        return ended

    def forget(self, pid: int) -> None:
        """Do not report a worker that the caller ends itself."""
        self._ready = {key: worker for key, worker in self._ready.items() if worker.pid != pid}
