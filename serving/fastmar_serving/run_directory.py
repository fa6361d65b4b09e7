"""The run directory, with the files of a running server."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastmar_contract.locks import acquire
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.storage import SPACE_FIX, is_full

MAX_SOCKET_PATH = 100  # the kernel takes 107 bytes, 103 on macOS
MAX_RUN_PATH = MAX_SOCKET_PATH - len("/tmp/.ts.sock.65535")  # noqa: S108 - the sockets of TorchServe's workers
RUN_MARKER = ".fastmar-run"  # marks a run directory, which a server may write to and clean up
FAILURES = "failures.json"  # in the run directory: why workers of TorchServe died, by their id


@dataclass(frozen=True)
class RunDirectory:
    """The private folder of one running server."""

    path: Path

    @property
    def config(self) -> Path:
        """TorchServe's properties."""
        return self.path / "config.properties"

    @property
    def logging(self) -> Path:
        """log4j's configuration."""
        return self.path / "log4j2.xml"

    @property
    def metrics(self) -> Path:
        """TorchServe's list of metrics."""
        return self.path / "metrics.yaml"

    @property
    def temporary(self) -> Path:
        """Java's temporary folder, with unpacked archives and the sockets of the workers."""
        return self.path / "tmp"

    @property
    def management_socket(self) -> Path:
        """Socket of the management API."""
        return self.path / "management.sock"

    @property
    def key_file(self) -> Path:
        """Generated keys."""
        return self.path / "key_file.json"

    @property
    def ready_file(self) -> Path:
        """File that exists while the default version of every model can answer."""
        return self.path / "ready"

    @property
    def check_file(self) -> Path:
        """The token of check requests; see `fastmar_contract.check_requests`."""
        return self.path / "check_token"

    @property
    def removals_file(self) -> Path:
        """Names of models that `fastmar models --remove` removes from the running server, as JSON, one a line."""
        return self.path / "removals"

    def check_token(self) -> str | None:
        """The token of check requests; None if it can't be read."""
        try:
            return self.check_file.read_text("ascii")
        except (OSError, ValueError):
            return None

    @property
    def front_socket(self) -> Path:
        """Socket at which the front connects to the launcher."""
        return self.path / "front.sock"


@contextmanager
def run_directory(path: Path | None) -> Iterator[RunDirectory]:
    """Make the run directory with mode 0700. At the end, remove a temporary one (None), or clean up a given one.

    Raises:
        ConfigRefused: the folder is not possible, another server uses it, or its disk is full, also later.
    """
    try:
        with _make_directory(path) as run:
            yield run
    except OSError as error:
        if not is_full(error):
            raise
        raise ConfigRefused(
            f"the server's files can't be written: {error}.", fix=SPACE_FIX, code="disk_full"
        ) from error


@contextmanager
def _make_directory(path: Path | None) -> Iterator[RunDirectory]:
    is_temporary = path is None
    if path is None:
        is_short = len(tempfile.gettempdir()) + len("/fastmar-12345678") <= MAX_RUN_PATH
        folder = None if is_short else "/tmp"  # noqa: S108 - mkdtemp is safe
        path = Path(tempfile.mkdtemp(prefix="fastmar-", dir=folder))
    else:
        path = _private_folder(path.resolve())
    run = RunDirectory(path)
    with _lock(path):
        try:
            _clean_up(run)
            run.temporary.mkdir()
            run.check_file.touch(mode=0o600)
            run.check_file.write_text(secrets.token_urlsafe(24), "ascii")
            yield run
        finally:
            _clean_up(run)
            if is_temporary:
                shutil.rmtree(path, ignore_errors=True)


def _private_folder(path: Path) -> Path:
    if len(str(path)) > MAX_RUN_PATH:
        raise ConfigRefused(
            f"the path {path} is too long for the sockets in it.",
            fix=f"give a --run-dir of at most {MAX_RUN_PATH} bytes.",
            code="run_dir_too_long",
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = path / RUN_MARKER
        if not marker.exists() and any(path.iterdir()):
            raise ConfigRefused(
                f"{path} has files that are not of a server.",
                fix="give --run-dir an empty or new folder.",
                code="run_dir_not_empty",
            )
        marker.touch()
        if not hasattr(os, "getuid") or path.stat().st_uid == os.getuid():
            path.chmod(stat.S_IRWXU)  # a mounted volume may belong to another user
    except OSError as error:
        if is_full(error):
            raise
        raise ConfigRefused(
            f"{path} can't be the run directory: {error}.", fix="give another --run-dir.", code="run_dir_unusable"
        ) from error
    return path


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock a run directory against other servers, on systems with file locks.

    Java and the workers don't inherit the file descriptor, so the lock ends with the launcher.
    """
    with (path / RUN_MARKER).open("a") as marker:
        if not acquire(marker):
            raise ConfigRefused(
                f"another server uses {path}.", fix="stop it, or give another --run-dir.", code="run_dir_in_use"
            )
        yield


def _clean_up(run: RunDirectory) -> None:
    """Remove files that must not outlive a server: unpacked archives, sockets, keys, the ready file."""
    shutil.rmtree(run.temporary, ignore_errors=True)
    for file in (
        run.management_socket,
        run.front_socket,
        run.key_file,
        run.check_file,
        run.removals_file,
        run.ready_file,
    ):
        file.unlink(missing_ok=True)
