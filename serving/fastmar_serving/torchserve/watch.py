"""Poll the models and workers once a second, and report readiness to the front and in a file for probes.

The front is the Java code that receives each request before TorchServe does (`front/`).
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastmar_runtime.http.server_documents import STOPPING
from fastmar_serving.management import READY, Management, ManagementError
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.torchserve.control import Control
from fastmar_serving.torchserve.deaths import Deaths
from fastmar_serving.torchserve.hangs import Hangs, Worker
from fastmar_serving.torchserve.metadata import ArchiveFacts, read_facts
from fastmar_serving.torchserve.routes import PlatformRoutes, ServedModel, message

log = logging.getLogger(__name__)

PERIOD = 1.0  # seconds between two polls
STALE_AFTER = 30.0  # seconds without a successful poll after which the server counts as not ready
# A model that was deployed on the running server may be unregistered again, by a failed deployment. Once it has been
# registered for this many seconds since it was first ready, the server counts as not ready without it.
EXPECTED_AFTER = 300.0


class Watch:
    """Sends the served models to the front, and maintains the file `ready`, which exists while the server is ready.

    The server is ready if the default version of every model has a ready worker, all expected models are registered,
    and it does not drain. Kills workers that hang; TorchServe then starts new ones.
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
        """`expected` are the models at the start, `store` is the model store."""
        self._run = run
        self._management = management
        self._control = control
        self._store = store
        self._platform = platform or PlatformRoutes()
        self._expected = set(expected)
        self._removals: set[str] = set()  # models that are being removed on purpose
        self._removals_read = 0  # bytes of the file
        self._hangs = Hangs(hang_timeout)
        self._deaths = Deaths()
        self._polled = 0.0
        self._succeeded = 0.0
        self._first_ready: dict[str, float] = {}  # by model, when its default version was first seen ready
        self._problem = ""
        self._served: list[ServedModel] = []
        self._facts: dict[tuple[str, str, str], ArchiveFacts] = {}
        self._sent: dict[str, Any] | None = None
        self._warned = False

    def start(self) -> None:
        """Report the server as ready, and start polling."""
        self._succeeded = time.monotonic()
        self._change_file(self._run.ready_file.touch)
        self.poll()

    def stop(self) -> None:
        """Report the server as not ready, before the drain."""
        self._problem = STOPPING
        self._change_file(self._remove_ready_file)
        self._send()

    def poll(self) -> None:
        """Poll the workers if a period is over, and report changes."""
        if time.monotonic() - self._polled < PERIOD:
            return
        try:
            descriptions = {name: self._describe(name) for name in sorted(self._management.names())}
            served = [self._state(name, *description) for name, description in descriptions.items()]
        except (OSError, http.client.HTTPException, ValueError, KeyError, ManagementError) as error:
            # TorchServe is busy, or a model changed between two requests: the last state stays valid for a while.
            if time.monotonic() - self._succeeded > STALE_AFTER and not self._problem:
                self._report(f"the management API does not respond ({error or type(error).__name__})")
                self._send()
            return
        finally:
            self._polled = time.monotonic()
        self._succeeded = self._polled
        self._served = served
        for worker in self._deaths.find(descriptions):
            log.warning(
                "%s %s: worker %d was killed, for example for lack of memory, or crashed; it is replaced",
                worker.model,
                worker.version,
                worker.pid,
            )
        hanging = self._hanging_workers(descriptions)
        self._report(self._problem_of(served, sorted({worker.model for worker in hanging})))
        self._send()  # before the kill, so that a client whose request fails with the worker finds the server not ready
        for worker in hanging:
            log.warning("%s %s: worker %d hangs and is replaced", worker.model, worker.version, worker.pid)
            self._deaths.forget(worker.pid)
            with suppress(OSError):
                os.kill(worker.pid, signal.SIGKILL)

    def _problem_of(self, served: list[ServedModel], hanging: list[str]) -> str:
        now = time.monotonic()
        names = {model.name for model in served}
        lasting = {name for name, since in self._first_ready.items() if now - since > EXPECTED_AFTER}
        gone = sorted(self._without_removed((self._expected | lasting) - names))
        self._expected |= lasting
        self._first_ready = {name: since for name, since in self._first_ready.items() if name in names}
        silent = [model.name for model in served if model.is_expected and not model.ready[model.default]]
        if gone:
            return f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} not registered any more"
        if hanging:
            return f"a worker of {', '.join(hanging)} hangs and is being replaced"
        return f"no worker answers for {', '.join(silent)}" if silent else ""

    def _without_removed(self, gone: set[str]) -> set[str]:
        """The models of `gone` that were not removed on purpose; the others are not expected any more."""
        with suppress(OSError):  # nothing was removed
            lines = self._run.removals_file.read_bytes()[self._removals_read :]
            complete = lines[: lines.rfind(b"\n") + 1]
            self._removals_read += len(complete)
            self._removals |= {json.loads(line) for line in complete.splitlines()}
        removed = gone & self._removals
        self._removals -= removed
        self._expected -= removed
        return gone - removed

    def _hanging_workers(self, descriptions: dict[str, tuple[str, list[dict[str, Any]]]]) -> list[Worker]:
        try:
            pending = self._control.send().models
        except OSError:  # the front has died, which the launcher detects itself
            return []
        workers = [
            Worker(name, version["modelVersion"], version["modelVersion"] == default, worker["pid"])
            for name, (default, versions) in descriptions.items()
            for version in versions
            for worker in version["workers"]
            if worker["status"] == READY and worker.get("pid", 0) > 0
        ]
        return self._hangs.find(workers, pending)

    def _describe(self, name: str) -> tuple[str, list[dict[str, Any]]]:
        """The default version and all versions of a model."""
        [default] = self._management.describe_default(name)
        return default["modelVersion"], self._management.describe(name)

    def _state(self, name: str, default: str, versions: list[dict[str, Any]]) -> ServedModel:
        ready = {each["modelVersion"]: any(w["status"] == READY for w in each["workers"]) for each in versions}
        if ready[default]:
            self._first_ready.setdefault(name, time.monotonic())
        facts = {each["modelVersion"]: self._read(name, each) for each in versions}
        is_expected = name in self._expected or name in self._first_ready
        return ServedModel(name, default, ready, facts, is_expected)

    def _read(self, name: str, version: dict[str, Any]) -> ArchiveFacts:
        """The facts of a version's archive, cached."""
        key = (name, version["modelVersion"], version.get("modelUrl", ""))
        if key not in self._facts:
            self._facts[key] = read_facts(self._store / key[2])
        return self._facts[key]

    def _send(self) -> None:
        """Send the served models to the front if they have changed."""
        content = message(self._served, self._platform, self._problem)
        if content == self._sent:
            return
        with suppress(OSError):  # the front has died, which the launcher detects itself
            self._control.send(served=content)
            self._sent = content

    def _report(self, problem: str) -> None:
        self._change_file(self._remove_ready_file if problem else self._run.ready_file.touch)
        if problem == self._problem:
            return
        self._problem = problem
        log.warning("not ready: %s", problem) if problem else log.info("ready again")

    def _remove_ready_file(self) -> None:
        self._run.ready_file.unlink(missing_ok=True)

    def _change_file(self, change: Callable[[], None]) -> None:
        """Change the file; log a warning if that fails."""
        try:
            change()
        except OSError as error:
            if not self._warned:
                log.warning("can't update %s, so probes may get a wrong result: %s", self._run.ready_file, error)
            self._warned = True
