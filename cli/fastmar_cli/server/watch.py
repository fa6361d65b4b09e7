"""What is served and whether it answers, kept as files: probes look at one, `/v1/models` answers with another."""

from __future__ import annotations

import http.client
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastmar_cli.server.config import RunDirectory
from fastmar_cli.server.management import READY, Management, ManagementError
from fastmar_cli.server.routes import LIST, standard_routes

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two looks at the workers
BELIEVED = 30.0  # seconds for which what was seen last is taken for true while no look succeeds


class Watch:
    """Keeps `ready`, which exists while the default version of every model has a worker that answers and the server
    does not drain, and the routes that tell what is served.

    A disk that takes no file is warned of once; what could not be written is written when it can be.
    """

    def __init__(self, run: RunDirectory, management: Management) -> None:
        self._run = run
        self._management = management
        self._looked = 0.0
        self._heard = 0.0
        self._answered: set[str] = set()  # a model whose first version is being deployed promises nothing yet
        self._problem = ""
        self._listed: list[dict[str, Any]] = []
        self._warned = False

    def start(self) -> None:
        """All is loaded."""
        self._heard = time.monotonic()
        self._keep(self._run.ready_file.touch)
        self.look()

    def stop(self) -> None:
        """No more requests, please."""
        self._keep(self._unready)

    def look(self) -> None:
        """Look at the workers, once a period, and make the files say what is true."""
        if time.monotonic() - self._looked < PERIOD:
            return
        try:
            served = [_state(self._management, name) for name in sorted(self._management.names())]
        except (OSError, http.client.HTTPException, ValueError, KeyError, ManagementError) as error:
            # Too busy to say, or changed between two questions: what was true last stands, for a while.
            if time.monotonic() - self._heard > BELIEVED and not self._problem:
                self._tell(f"the management API does not say what is served ({error or type(error).__name__})")
            return
        finally:
            self._looked = time.monotonic()
        self._heard = self._looked
        self._answered &= {model["name"] for model in served}
        self._answered |= {model["name"] for model in served if model["ready"]}
        silent = [model["name"] for model in served if not model["ready"] and model["name"] in self._answered]
        self._tell(f"no worker answers for {', '.join(silent)}" if silent else "")
        self._keep(lambda: self._list(served))

    def _list(self, served: list[dict[str, Any]]) -> None:
        if served == self._listed:
            return
        changed = [model for model in served if model not in self._listed and model["name"] in self._answered]
        routes = standard_routes({model["name"]: model["versions"] for model in changed})
        listed = json.dumps({"models": [model["name"] for model in served], "details": served})
        replace(routes, documents={LIST: listed}).write(self._run.routes)
        self._listed = served

    def _tell(self, problem: str) -> None:
        self._keep(self._unready if problem else self._run.ready_file.touch)
        if problem == self._problem:
            return
        self._problem = problem
        log.warning("not ready: %s", problem) if problem else log.warning("ready again")

    def _unready(self) -> None:
        self._run.ready_file.unlink(missing_ok=True)

    def _keep(self, change: Callable[[], None]) -> None:
        """Change files, where the disk lets us."""
        try:
            change()
        except OSError as error:
            if not self._warned:
                log.warning("health checks and /v1/models may not say what is true: %s", error)
            self._warned = True


def _state(management: Management, name: str) -> dict[str, Any]:
    [default] = management.describe_default(name)
    return {
        "name": name,
        "version": default["modelVersion"],
        "versions": sorted(version["modelVersion"] for version in management.describe(name)),
        "ready": any(worker["status"] == READY for worker in default["workers"]),
    }
