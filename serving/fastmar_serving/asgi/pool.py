"""The workers of a server: replaces those that end or hang, and switches default versions in all of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmar_serving.asgi.process import STARTED, Change, NoReply, WorkerGone, WorkerProcess
from fastmar_serving.torchserve.errors import LoadFailed, NotReady
from fastmar_serving.torchserve.hangs import IdleTimes

log = logging.getLogger(__name__)

COMMAND_TIMEOUT = 10.0  # seconds
MAX_PAUSE = 30.0  # seconds between two attempts to start a worker that fails


@dataclass(frozen=True)
class ModelSet:
    """The served models: archives by name and version, and the default version of each name."""

    archives: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def models(self) -> dict[str, dict[str, Any]]:
        """The models, as the worker's command `serve` expects them."""
        return {
            name: {"default": default, "versions": [version for each, version in self.archives if each == name]}
            for name, default in self.defaults.items()
        }

    def as_list(self) -> list[dict[str, str]]:
        """The archives, as the worker's configuration expects them."""
        return [{"path": str(path), "name": name, "version": v} for (name, v), path in self.archives.items()]


@dataclass
class _Slot:
    """The place of one worker."""

    listener: socket.socket
    number: int
    worker: WorkerProcess
    ready: bool = False
    failures: int = 0
    again_at: float = 0.0
    ping: int | None = None
    pinged_at: float = 0.0


class Pool:
    """Runs the workers. Each has its own listening socket; all sockets share the port.

    Args:
        listeners: one for each worker.
        configuration: see `WorkerProcess`, without archives and defaults.
        loaded: the models to serve.
        hang_timeout: seconds without replies and processor time after which a worker is replaced; 0 for never.
        on_metrics: see `WorkerProcess`.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        configuration: Mapping[str, Any],
        loaded: ModelSet,
        hang_timeout: float,
        on_metrics: Callable[[list[Change]], None],
    ) -> None:
        self._configuration = dict(configuration)
        self._hang_timeout = hang_timeout
        self._on_metrics = on_metrics
        self._idle_times = IdleTimes()
        self._lock = threading.RLock()  # for the threads of the management API and the watch
        self.loaded = loaded
        self._slots = [
            _Slot(listener, number, self._start(listener, number)) for number, listener in enumerate(listeners)
        ]

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until all workers have loaded all models.

        Raises:
            LoadFailed: a worker could not load them.
            NotReady: they are still loading after the timeout.
        """
        end = time.monotonic() + timeout
        for slot in self._slots:
            try:
                slot.worker.wait(STARTED, max(0.0, end - time.monotonic()))
            except WorkerGone as error:
                raise LoadFailed(
                    f"a worker ended with status {slot.worker.status()} while it loaded the models.",
                    fix="read the lines above; if memory was short, use fewer --workers.",
                ) from error
            except NoReply as error:
                raise NotReady(
                    f"the models are still loading after {timeout:g} s.", fix="give a longer --ready-timeout."
                ) from error
            slot.ready = True

    def pids(self) -> list[tuple[int, bool]]:
        """Process id of each worker, and whether it is ready."""
        return [(slot.worker.pid, slot.ready) for slot in self._slots]

    def watch(self) -> None:
        """Replace workers that have ended or hang. Must be called about once a second."""
        with self._lock:
            idle = self._idle_times.update([slot.worker.pid for slot in self._slots])
            for slot in self._slots:
                self._watch(slot, idle[slot.worker.pid])

    def load(self, name: str, version: str, path: Path, timeout: float) -> None:
        """Load and serve an additional version in all workers. The first version of a model becomes its default.

        Raises:
            LoadFailed: a worker could not load it; nothing has changed.
        """
        with self._lock:
            archive = {"path": str(path), "name": name, "version": version}
            try:
                self._command("load", timeout, archives=[archive])
            except LoadFailed:
                self._serve(self.loaded)  # unload it in the other workers
                raise
            archives = {**self.loaded.archives, (name, version): path}
            self._serve(ModelSet(archives, {name: version, **self.loaded.defaults}))

    def unload(self, name: str, version: str) -> None:
        """Unload a version. Requests in flight are answered."""
        with self._lock:
            archives = {key: path for key, path in self.loaded.archives.items() if key != (name, version)}
            names = {key[0] for key in archives}
            self._serve(ModelSet(archives, {n: v for n, v in self.loaded.defaults.items() if n in names}))

    def set_default(self, name: str, version: str) -> None:
        """Switch the default version in all workers; new requests wait until the last one has switched."""
        with self._lock:
            self._command("hold", COMMAND_TIMEOUT)
            self._serve(ModelSet(self.loaded.archives, {**self.loaded.defaults, name: version}))

    def drain(self, timeout: float) -> None:
        """Let the workers answer all accepted requests, and end them."""
        with self._lock:
            end = time.monotonic() + timeout
            for slot in self._slots:
                slot.worker.begin("drain")
            for slot in self._slots:
                slot.worker.stop(end - time.monotonic())

    def stop(self) -> None:
        """End all workers at once."""
        for slot in self._slots:
            slot.worker.stop(0.0)

    def _start(self, listener: socket.socket, number: int) -> WorkerProcess:
        served = {"number": number, "archives": self.loaded.as_list(), "defaults": dict(self.loaded.defaults)}
        return WorkerProcess(listener, {**self._configuration, **served}, self._on_metrics)

    def _serve(self, loaded: ModelSet) -> None:
        """Serve other models in all workers. Restarts those that are still loading the previous ones."""
        for slot in self._slots:
            if not slot.ready:
                slot.worker.kill()
                slot.again_at = 0.0
        self.loaded = loaded
        self._command("serve", COMMAND_TIMEOUT, models=loaded.models())

    def _command(self, command: str, timeout: float, **arguments: Any) -> None:
        """Send a command to all ready workers, and wait for the replies. Workers that don't reply are replaced."""
        slots = [slot for slot in self._slots if slot.ready]
        begun = [(slot, slot.worker.begin(command, **arguments)) for slot in slots]
        failed: LoadFailed | None = None
        end = time.monotonic() + timeout
        for slot, number in begun:
            try:
                slot.worker.wait(number, max(0.0, end - time.monotonic()))
            except LoadFailed as error:
                failed = failed or error
            except (WorkerGone, NoReply):
                log.warning("worker %d did not reply to %s and is replaced", slot.worker.pid, command)
                slot.worker.kill()
                slot.ready = False
        if failed is not None:
            raise failed

    def _watch(self, slot: _Slot, idle: float) -> None:
        now = time.monotonic()
        if (status := slot.worker.status()) is not None:
            if slot.ready:
                log.warning("worker %d ended with status %d and is replaced", slot.worker.pid, status)
                slot.ready = False
                slot.failures = 0
                slot.again_at = now
            if now >= slot.again_at:
                slot.failures += 1
                slot.again_at = now + min(MAX_PAUSE, 2.0**slot.failures)
                slot.worker.stop(0.0)
                slot.worker = self._start(slot.listener, slot.number)
                slot.ping = None
            return
        if not slot.ready:
            if slot.worker.has_replied(STARTED):
                try:
                    slot.worker.wait(STARTED, 0.0)
                    slot.ready = True
                    log.warning("worker %d is ready", slot.worker.pid)
                except LoadFailed as error:
                    log.warning("worker %d: %s", slot.worker.pid, error.message)
            return
        if slot.ping is None or slot.worker.has_replied(slot.ping):
            if slot.ping is not None:
                slot.worker.wait(slot.ping, 0.0)
            slot.ping, slot.pinged_at = slot.worker.begin("ping"), now
        elif self._hang_timeout and now - slot.pinged_at >= self._hang_timeout <= idle:
            log.warning("worker %d hangs and is replaced", slot.worker.pid)
            slot.worker.kill()
