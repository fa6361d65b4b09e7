"""The candidate: the version that a rollout loads beside the default, and removes again if a step fails."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastmar_serving.management import ManagementError
from fastmar_serving.notices import notice
from fastmar_serving.rollout.errors import LifecycleError, VersionFailed
from fastmar_serving.rollout.loading import Show, register, wait_until_ready
from fastmar_serving.rollout.server import Server
from fastmar_serving.rollout.switching import make_default, read_default, save_default
from fastmar_serving.rollout.versions import Version, default_of, versions_of


class Candidate:
    """The version that a rollout is to make the default, and how to undo its steps.

    Attributes:
        saved: the entry of the model in `defaults.json` before the rollout, None if there was none.
        undo_file: removes or moves back the archive in the model store; None if it was there before.
    """

    def __init__(self, server: Server, name: str, version: str, current: Version | None) -> None:
        self.saved = read_default(server, name)
        self.undo_file: Callable[[], object] | None = None
        self._server = server
        self._name = name
        self._version = version
        self._current = current
        self._loaded_from: Path | None = None
        self._is_switching = False

    def load(self, file: Path, workers: int, *, timeout: float, show: Show) -> None:
        """Load the version from an archive in the model store, and wait until `workers` workers are ready.

        Raises:
            VersionFailed: TorchServe refuses it, a worker fails, or `timeout` seconds are over.
        """
        show(f"Loading {self._name} {self._version}")
        self._loaded_from = file
        try:
            register(self._server, self._name, self._version, file)
        except VersionFailed:  # if it is registered all the same, another process did that
            self._loaded_from = None
            raise
        wait_until_ready(self._server, self._name, self._version, file, workers, timeout=timeout, show=show)

    def switch(self) -> None:
        """Make the version the default of the running server.

        Raises:
            ManagementFailed: the server refused or did not answer.
        """
        self._is_switching = True
        make_default(self._server, self._name, self._version)

    def undo(self) -> None:
        """Undo all steps. A server that restarts at any moment in between starts with the old version."""
        is_undone = self._restore_default()
        if self._loaded_from is not None:
            is_undone = self._unregister()
        if not is_undone:
            return
        if self.undo_file is not None:
            with suppress(OSError):
                self.undo_file()
        elif self._loaded_from is not None:
            notice(f"{self._loaded_from} stays in the model store: the next start of the server loads it.")
        save_default(self._server, self._name, self.saved)

    def _restore_default(self) -> bool:
        """Make the old version the default again; returns False, with a notice, if that fails."""
        if not self._is_switching or self._current is None:
            return True
        try:
            make_default(self._server, self._name, self._current.version)
        except (ManagementError, LifecycleError) as error:
            notice(f"can't make {self._current.label} the default again: {error.message}")
            return False
        return True

    def _unregister(self) -> bool:
        """Unregister the version; returns False, with a notice, if it stays loaded."""
        label = f"{self._name} {self._version}"
        try:
            default = default_of(versions_of(self._server.management, self._name))
            if self._current is not None and default is not None and default.version == self._version:
                notice(f"{label} stays loaded, and its archive in the model store: it is the default now.")
                return False
            self._server.management.unregister(self._name, self._version)
        except (ManagementError, LifecycleError) as error:
            if getattr(error, "status", None) != http.client.NOT_FOUND:  # else another process unregistered it
                notice(f"can't unregister {label}; its archive stays in the model store: {error.message}")
                return False
        return True


@contextmanager
def candidate_version(server: Server, name: str, version: str, current: Version | None) -> Iterator[Candidate]:
    """A candidate beside `current`, the default. If the block raises, all steps of the candidate are undone."""
    candidate = Candidate(server, name, version, current)
    try:
        yield candidate
    except BaseException:  # including KeyboardInterrupt
        candidate.undo()
        raise
