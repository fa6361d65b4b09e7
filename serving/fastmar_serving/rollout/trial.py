"""A version on trial: loaded beside the default and put in its place, or taken back whatever goes wrong before that."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastmar_serving.notices import notice
from fastmar_serving.rollout.errors import LifecycleError, VersionFailed
from fastmar_serving.rollout.loading import Show, register, wait_until_ready
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.switching import make_default, remember, remembered
from fastmar_serving.rollout.versions import Version
from fastmar_serving.torchserve.management import ManagementError


class Trial:
    """A version that is to become the default, and what was done for it so far.

    Attributes:
        memory: what the store remembered of the model at the beginning.
        put_back: takes back what was done to its file in the store; None where that lay there before.
    """

    def __init__(self, server: Server, name: str, version: str, current: Version | None) -> None:
        self.memory = remembered(server, name)
        self.put_back: Callable[[], object] | None = None
        self._server = server
        self._name = name
        self._version = version
        self._current = current
        self._loaded_from: Path | None = None
        self._is_switching = False

    def load(self, file: Path, workers: int, *, timeout: float, show: Show) -> None:
        """Have it loaded from a file of the store, and wait until as many workers are ready.

        Raises:
            VersionFailed: it is not taken, a worker fails, or the seconds of `timeout` are over.
        """
        show(f"Loading {self._name} {self._version}")
        self._loaded_from = file
        try:
            register(self._server, self._name, self._version, file)
        except VersionFailed:  # it may be there, but then somebody else has done it
            self._loaded_from = None
            raise
        wait_until_ready(self._server, self._name, self._version, file, workers, timeout=timeout, show=show)

    def switch(self) -> None:
        """Make it the default of the running server.

        Raises:
            ManagementFailed: the server did not do it.
        """
        self._is_switching = True
        make_default(self._server, self._name, self._version)

    def take_back(self) -> None:
        """Undo it, in an order in which a server that is restarted at any moment begins with the old version."""
        label = f"{self._name} {self._version}"
        try:
            if self._is_switching and self._current is not None:
                make_default(self._server, self._name, self._current.version)
            if self._loaded_from is not None:
                self._server.management.unregister(self._name, self._version)
        except (ManagementError, LifecycleError) as error:
            if getattr(error, "status", None) != http.client.NOT_FOUND:
                notice(f"{label} could not be unregistered, and its file stays: {error.message}")
                return
        if self.put_back is not None:
            with suppress(OSError):
                self.put_back()
        elif self._loaded_from is not None:
            notice(f"{self._loaded_from} lies in the model store: a server that is started loads it.")
        remember(self._server, self._name, self.memory)


@contextmanager
def on_trial(server: Server, name: str, version: str, current: Version | None) -> Iterator[Trial]:
    """A trial of a version beside `current`, the default; whatever is raised while this lasts, it is taken back."""
    trial = Trial(server, name, version, current)
    try:
        yield trial
    except BaseException:  # a Ctrl-C too
        trial.take_back()
        raise
