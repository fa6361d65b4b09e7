"""Whether the server can answer, kept as a file that probes look at and that `/ping` answers from."""

from __future__ import annotations

import http.client
import logging
import time
from pathlib import Path

from fastmar_cli.server.readiness import Management, ManagementError

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two looks at the workers


class ReadyFile:
    """Exists while the default version of every model has a worker that is READY, and until the server drains."""

    def __init__(self, path: Path, management: Management) -> None:
        self._path = path
        self._management = management
        self._looked = time.monotonic()
        self._silent: list[str] = []

    def create(self) -> None:
        """All is loaded."""
        self._path.touch()

    def remove(self) -> None:
        """No more requests, please."""
        self._path.unlink(missing_ok=True)

    def look(self) -> None:
        """Look at the workers, once a period, and make the file say what is true."""
        if time.monotonic() - self._looked < PERIOD:
            return
        try:
            silent = [name for name in self._management.names() if not _answers(self._management, name)]
        except (OSError, http.client.HTTPException, ValueError, ManagementError):
            return  # too busy to say: what was true last stands
        finally:
            self._looked = time.monotonic()
        if silent != self._silent:
            if silent:
                log.warning("not ready: no worker answers for %s", ", ".join(silent))
            else:
                log.warning("ready again")
            self._silent = silent
        if silent:
            self.remove()
        else:
            self.create()


def _answers(management: Management, name: str) -> bool:
    try:
        versions = management.describe_default(name)
    except ManagementError as error:
        if error.status == http.client.NOT_FOUND:  # unregistered between two questions
            return True
        raise
    return any(worker["status"] == "READY" for version in versions for worker in version["workers"])
