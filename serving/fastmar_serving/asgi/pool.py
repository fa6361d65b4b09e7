"""The workers of a server: replaces those that end or hang, and switches default versions in all of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmar_serving.asgi.process import STARTED, Change, NoReply, WorkerGone, WorkerProcess
from fastmar_serving.errors import LoadFailed, NotReady
from fastmar_serving.idle_times import IdleTimes
from fastmar_serving.signals import describe_status

log = logging.getLogger(__name__)

COMMAND_TIMEOUT = 10.0  # seconds
MAX_PAUSE = 30.0  # seconds between two attempts to start a worker that fails
POLL = 0.02  # seconds between two checks of workers that start or end


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
    started_at: float = field(default_factory=time.monotonic)
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
        ready_timeout: seconds after which a worker that is still loading the models is replaced.
        on_metrics: see `WorkerProcess`.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        configuration: Mapping[str, Any],
        loaded: ModelSet,
        hang_timeout: float,
        ready_timeout: float,
        on_metrics: Callable[[list[Change]], None],
    ) -> None:
        self._configuration = dict(configuration)
        self._hang_timeout = hang_timeout
        self._ready_timeout = ready_timeout
        self._on_metrics = on_metrics
        self._idle_times = IdleTimes()
        self._changes = threading.Lock()  # one change of the models at a time; it may wait for a slow model
        self._lock = threading.RLock()  # for the workers and `loaded`; never held while a model loads
        self._is_stopping = False
        self.loaded = loaded
        self._slots = [
            _Slot(listener, number, self._start(listener, number)) for number, listener in enumerate(listeners)
        ]

    def wait_until_ready(self, stop: threading.Event) -> bool:
        """Wait until all workers have loaded all models; returns False if `stop` was set first.

        Raises:
            LoadFailed: a worker could not load them.
            NotReady: they are still loading after the timeout.
        """
        end = time.monotonic() + self._ready_timeout
        while loading := [slot for slot in self._slots if not slot.ready]:
            for slot in loading:
                try:
                    slot.worker.wait(STARTED, 0.0)
                    slot.ready = True
                except WorkerGone as error:
                    raise LoadFailed(
                        f"a worker ended with status {slot.worker.status()} while it loaded the models.",
                        fix="read the lines above; if memory was short, use fewer --workers.",
                    ) from error
                except NoReply as error:
                    if time.monotonic() >= end:
                        raise NotReady(
                            f"the models are still loading after {self._ready_timeout:g} s.",
                            fix="give a longer --ready-timeout.",
                        ) from error
            if stop.wait(POLL):
                return False
        return True

    def pids(self) -> list[tuple[int, bool]]:
        """Process id of each worker, and whether it is ready."""
        return [(slot.worker.pid, slot.ready) for slot in self._slots]

    def watch(self) -> None:
        """Replace workers that have ended or hang. Must be called about once a second."""
        with self._lock:
            idle = self._idle_times.update([slot.worker.pid for slot in self._slots])
            for slot in self._slots:
                self._watch(slot, idle[slot.worker.pid])

    def load(self, name: str, version: str, path: Path) -> None:
        """Load and serve an additional version in all workers. The first version of a model becomes its default.

        Raises:
            LoadFailed: a worker could not load it; nothing has changed.
        """
        archive = {"path": str(path), "name": name, "version": version}
        end = time.monotonic() + self._ready_timeout
        have_loaded: set[WorkerProcess] = set()
        with self._changes:
            while True:
                with self._lock:
                    # Some may have been replaced meanwhile, by workers without the version.
                    running = {slot.worker for slot in self._slots if slot.ready and slot.worker.status() is None}
                    others = running - have_loaded
                    if have_loaded and not others:
                        archives = {**self.loaded.archives, (name, version): path}
                        self._serve(ModelSet(archives, {name: version, **self.loaded.defaults}))
                        return
                try:
                    have_loaded |= self._load(archive, others, end)
                    if not have_loaded:
                        raise LoadFailed(
                            f"every worker ended while it loaded {name} {version}.",
                            fix="read the server's log; if memory was short, use fewer --workers.",
                        )
                except LoadFailed:
                    with self._lock:
                        self._serve(self.loaded)  # unload it in the other workers
                    raise

    def unload(self, name: str, version: str) -> None:
        """Unload a version. Requests in flight are answered."""
        with self._changes, self._lock:
            archives = {key: path for key, path in self.loaded.archives.items() if key != (name, version)}
            names = {key[0] for key in archives}
            self._serve(ModelSet(archives, {n: v for n, v in self.loaded.defaults.items() if n in names}))

    def set_default(self, name: str, version: str) -> None:
        """Switch the default version in all workers; new requests wait until the last one has switched."""
        with self._changes, self._lock:
            self._command("hold", COMMAND_TIMEOUT)
            self._serve(ModelSet(self.loaded.archives, {**self.loaded.defaults, name: version}))

    def set_keys(self, keys: Sequence[str]) -> None:
        """Accept other keys, in all workers and their replacements."""
        with self._lock:
            self._configuration["keys"] = keys
            for slot in self._slots:
                if not slot.ready:
                    slot.worker.begin("keys", keys=keys)  # it reads commands after it has loaded the models
            self._command("keys", COMMAND_TIMEOUT, keys=keys)

    def stop_loading(self) -> None:
        """End the workers that are not ready; the others may have accepted requests."""
        for slot in self._slots:
            if not slot.ready:
                slot.worker.kill()

    def drain(self, timeout: float, hurry: threading.Event) -> None:
        """Let the workers answer all accepted requests, and end; returns at the latest when `hurry` is set."""
        with self._lock:
            self._is_stopping = True
            end = time.monotonic() + timeout
            for slot in self._slots:
                slot.worker.begin("drain")
            while any(slot.worker.status() is None for slot in self._slots) and time.monotonic() < end:
                if hurry.wait(POLL):
                    return

    def stop(self) -> None:
        """End all workers at once."""
        with self._lock:
            self._is_stopping = True
            for slot in self._slots:
                slot.worker.stop(0.0)

    def _start(self, listener: socket.socket, number: int) -> WorkerProcess:
        served = {"number": number, "archives": self.loaded.as_list(), "defaults": dict(self.loaded.defaults)}
        return WorkerProcess(listener, {**self._configuration, **served}, self._on_metrics)

    def _serve(self, loaded: ModelSet) -> None:
        """Serve other models in all workers. Restarts those that are still loading the previous ones.

        Raises:
            LoadFailed: the server is stopping.
        """
        if self._is_stopping:
            raise LoadFailed("the server is stopping.", fix="repeat the command after its next start.")
        for slot in self._slots:
            if not slot.ready:
                slot.worker.kill()
                slot.again_at = 0.0
        self.loaded = loaded
        self._command("serve", COMMAND_TIMEOUT, models=loaded.models())

    def _load(self, archive: dict[str, str], workers: Collection[WorkerProcess], end: float) -> set[WorkerProcess]:
        """Load an archive in some workers. Returns those that have loaded it; the others have ended.

        Raises:
            LoadFailed: a worker could not load it until `end`. It keeps serving the other models.
        """
        begun = [(worker, worker.begin("load", archives=[archive])) for worker in workers]
        have_loaded = set()
        failed: LoadFailed | None = None
        for worker, number in begun:
            try:
                worker.wait(number, max(0.0, end - time.monotonic()))
                have_loaded.add(worker)
            except LoadFailed as error:
                failed = failed or error
            except NoReply:
                failed = failed or LoadFailed(
                    f"{archive['name']} {archive['version']} is still loading after {self._ready_timeout:g} s.",
                    fix="start the server with a longer --ready-timeout.",
                )
            except WorkerGone:
                continue  # `watch` replaces it
        if failed is not None:
            raise failed
        return have_loaded

    def _command(self, command: str, timeout: float, **arguments: Any) -> None:
        """Send a command to all ready workers, and wait for the replies. Workers that don't reply are replaced."""
        slots = [slot for slot in self._slots if slot.ready]
        begun = [(slot, slot.worker.begin(command, **arguments)) for slot in slots]
        end = time.monotonic() + timeout
        for slot, number in begun:
            try:
                slot.worker.wait(number, max(0.0, end - time.monotonic()))
            except (LoadFailed, WorkerGone, NoReply):
                log.warning("worker %d did not execute %s and is replaced", slot.worker.pid, command)
                slot.worker.kill()
                slot.ready = False

    def _watch(self, slot: _Slot, idle: float) -> None:
        now = time.monotonic()
        if (status := slot.worker.status()) is not None:
            if slot.ready:
                log.warning("worker %d %s and is replaced", slot.worker.pid, describe_status(status))
                slot.ready = False
                slot.failures = 0
                slot.again_at = now
            if now >= slot.again_at:
                slot.failures += 1
                slot.again_at = now + min(MAX_PAUSE, 2.0**slot.failures)
                slot.worker.stop(0.0)
                slot.worker = self._start(slot.listener, slot.number)
                slot.started_at = now
                slot.ping = None
            return
        if not slot.ready:
            if slot.worker.has_replied(STARTED):
                try:
                    slot.worker.wait(STARTED, 0.0)
                    slot.ready = True
                    log.info("worker %d is ready", slot.worker.pid)
                except LoadFailed as error:
                    log.warning("worker %d: %s", slot.worker.pid, error.message)
            elif now - slot.started_at >= self._ready_timeout:
                log.warning("worker %d is not ready after %g s and is replaced", slot.worker.pid, self._ready_timeout)
                slot.worker.kill()
            return
        if slot.ping is None or slot.worker.has_replied(slot.ping):
            if slot.ping is not None:
                slot.worker.wait(slot.ping, 0.0)
            slot.ping, slot.pinged_at = slot.worker.begin("ping"), now
        elif self._hang_timeout and now - slot.pinged_at >= self._hang_timeout <= idle:
            log.warning("worker %d hangs and is replaced", slot.worker.pid)
            slot.worker.kill()
