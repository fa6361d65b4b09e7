"""What is served and whether it answers, kept as two files: probes look at one, `/v1/models` answers with the other."""

from __future__ import annotations

import http.client
import json
import logging
import time
from typing import Any

from fastmar_cli.server.config import RunDirectory
from fastmar_cli.server.management import READY, Management, ManagementError

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two looks at the workers


class Watch:
    """Keeps `ready`, which exists while the default version of every model has a worker that answers and the server
    does not drain, and `models.json`, the list of what is served.
    """

    def __init__(self, run: RunDirectory, management: Management) -> None:
        self._run = run
        self._management = management
        self._looked = 0.0
        self._answered: set[str] = set()  # a model whose first version is being deployed promises nothing yet
        self._silent: list[str] = []
        self._listed: list[dict[str, Any]] = []

    def start(self) -> None:
        """All is loaded."""
        self._run.ready_file.touch()
        self.look()

    def stop(self) -> None:
        """No more requests, please."""
        self._run.ready_file.unlink(missing_ok=True)

    def look(self) -> None:
        """Look at the workers, once a period, and make the files say what is true."""
        if time.monotonic() - self._looked < PERIOD:
            return
        try:
            served = [_state(self._management, name) for name in sorted(self._management.names())]
        except (OSError, http.client.HTTPException, ValueError, KeyError, ManagementError):
            return  # too busy to say, or changed between two questions: what was true last stands
        finally:
            self._looked = time.monotonic()
        self._list(served)
        self._answered &= {model["name"] for model in served}
        self._answered |= {model["name"] for model in served if model["ready"]}
        self._tell([model["name"] for model in served if not model["ready"] and model["name"] in self._answered])

    def _list(self, served: list[dict[str, Any]]) -> None:
        if served == self._listed:
            return
        self._listed = served
        draft = self._run.models_file.with_suffix(".new")
        draft.write_text(json.dumps({"models": [model["name"] for model in served], "details": served}), "utf-8")
        draft.replace(self._run.models_file)

    def _tell(self, silent: list[str]) -> None:
        if silent:
            self._run.ready_file.unlink(missing_ok=True)
        else:
            self._run.ready_file.touch()
        if silent == self._silent:
            return
        self._silent = silent
        log.warning("not ready: no worker answers for %s", ", ".join(silent)) if silent else log.warning("ready again")


def _state(management: Management, name: str) -> dict[str, Any]:
    [default] = management.describe_default(name)
    return {
        "name": name,
        "version": default["modelVersion"],
        "versions": sorted(version["modelVersion"] for version in management.describe(name)),
        "ready": any(worker["status"] == READY for worker in default["workers"]),
    }
