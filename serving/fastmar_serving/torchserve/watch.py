"""What is served and whether it answers: looked at once a second, told to the front and to a file for probes."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastmar_serving.torchserve.config import RunDirectory
from fastmar_serving.torchserve.control import Control
from fastmar_serving.torchserve.hangs import Hangs, Worker
from fastmar_serving.torchserve.management import READY, Management, ManagementError
from fastmar_serving.torchserve.metadata import Facts, read_facts
from fastmar_serving.torchserve.routes import STOPPING, PlatformRoutes, Served, message

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two looks at the workers
BELIEVED = 30.0  # seconds for which what was seen last is taken for true while no look succeeds
PROMISED_AFTER = 300.0  # seconds of being served after which a deployed model is missed when it is gone


class Watch:
    """Tells the front what is served, and keeps the file `ready`, which exists while the server can answer.

    It can while the default version of every model has a worker that answers, no model that was served is gone, and
    it does not drain. Workers that hang are ended, and TorchServe starts others in their place.
    """

    def __init__(
        self,
        run: RunDirectory,
        management: Management,
        control: Control,
        *,
        store: Path,
        platform: PlatformRoutes | None = None,
        expected: Iterable[str] = (),
        hang_timeout: float = 0.0,
    ) -> None:
        """`expected` are the models of the start, `store` the folder of archives."""
        self._run = run
        self._management = management
        self._control = control
        self._store = store
        self._platform = platform or PlatformRoutes()
        self._expected = set(expected)
        self._hangs = Hangs(hang_timeout)
        self._looked = 0.0
        self._heard = 0.0
        self._ready_since: dict[str, float] = {}  # a model whose first version is being deployed promises nothing yet
        self._problem = ""
        self._served: list[Served] = []
        self._facts: dict[tuple[str, str, str], Facts] = {}
        self._sent: dict[str, Any] | None = None
        self._warned = False

    def start(self) -> None:
        """All is loaded."""
        self._heard = time.monotonic()
        self._keep(self._run.ready_file.touch)
        self.look()

    def stop(self) -> None:
        """No more requests, please."""
        self._problem = STOPPING
        self._keep(self._unready)
        self._send()

    def look(self) -> None:
        """Look at the workers, once a period, and tell what is true."""
        if time.monotonic() - self._looked < PERIOD:
            return
        try:
            descriptions = {name: self._describe(name) for name in sorted(self._management.names())}
            served = [self._state(name, *description) for name, description in descriptions.items()]
        except (OSError, http.client.HTTPException, ValueError, KeyError, ManagementError) as error:
            # Too busy to say, or changed between two questions: what was true last stands, for a while.
            if time.monotonic() - self._heard > BELIEVED and not self._problem:
                self._tell(f"the management API does not say what is served ({error or type(error).__name__})")
                self._send()
            return
        finally:
            self._looked = time.monotonic()
        self._heard = self._looked
        self._served = served
        hanging = self._replace_hanging(descriptions)
        self._tell(self._problem_of(served, hanging))
        self._send()

    def _problem_of(self, served: list[Served], hanging: list[str]) -> str:
        now = time.monotonic()
        names = {model.name for model in served}
        lasting = {name for name, since in self._ready_since.items() if now - since > PROMISED_AFTER}
        gone = sorted((self._expected | lasting) - names)
        self._expected |= lasting
        self._ready_since = {name: since for name, since in self._ready_since.items() if name in names}
        silent = [model.name for model in served if model.promised and not model.ready[model.default]]
        if gone:
            return f"{', '.join(gone)} is not registered any more"
        if hanging:
            return f"a worker of {', '.join(hanging)} hangs and is being replaced"
        return f"no worker answers for {', '.join(silent)}" if silent else ""

    def _replace_hanging(self, descriptions: dict[str, tuple[str, list[dict[str, Any]]]]) -> list[str]:
        """End the workers that hang; the names of their models."""
        try:
            asked = self._control.tell().models
        except OSError:  # the front is gone, and the launcher notices that by itself
            return []
        workers = [
            Worker(name, version["modelVersion"], version["modelVersion"] == default, worker["pid"])
            for name, (default, versions) in descriptions.items()
            for version in versions
            for worker in version["workers"]
            if worker["status"] == READY and worker.get("pid", 0) > 0
        ]
        hanging = self._hangs.look(workers, asked)
        for worker in hanging:
            log.warning("%s %s: worker %d hangs and is replaced", worker.model, worker.version, worker.pid)
            with suppress(OSError):
                os.kill(worker.pid, signal.SIGKILL)
        return sorted({worker.model for worker in hanging})

    def _describe(self, name: str) -> tuple[str, list[dict[str, Any]]]:
        """The default version and all versions of a model."""
        [default] = self._management.describe_default(name)
        return default["modelVersion"], self._management.describe(name)

    def _state(self, name: str, default: str, versions: list[dict[str, Any]]) -> Served:
        ready = {each["modelVersion"]: any(w["status"] == READY for w in each["workers"]) for each in versions}
        if ready[default]:
            self._ready_since.setdefault(name, time.monotonic())
        facts = {each["modelVersion"]: self._read(name, each) for each in versions}
        promised = name in self._expected or name in self._ready_since
        return Served(name, default, ready, facts, promised)

    def _read(self, name: str, version: dict[str, Any]) -> Facts:
        """What the archive of a version says, read once."""
        key = (name, version["modelVersion"], version.get("modelUrl", ""))
        if key not in self._facts:
            self._facts[key] = read_facts(self._store / key[2])
        return self._facts[key]

    def _send(self) -> None:
        """Tell the front, where something has changed."""
        told = message(self._served, self._platform, self._problem)
        if told == self._sent:
            return
        with suppress(OSError):  # the front is gone, and the launcher notices that by itself
            self._control.tell(served=told)
            self._sent = told

    def _tell(self, problem: str) -> None:
        self._keep(self._unready if problem else self._run.ready_file.touch)
        if problem == self._problem:
            return
        self._problem = problem
        log.warning("not ready: %s", problem) if problem else log.warning("ready again")

    def _unready(self) -> None:
        self._run.ready_file.unlink(missing_ok=True)

    def _keep(self, change: Callable[[], None]) -> None:
        """Change the file, where the disk lets us."""
        try:
            change()
        except OSError as error:
            if not self._warned:
                log.warning("probes that look at %s may be misled: %s", self._run.ready_file, error)
            self._warned = True
