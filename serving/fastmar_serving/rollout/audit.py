"""The audit log: one JSON line for each deployment, rollback and unload, including failed attempts.

The file is `audit.jsonl` in the state directory (by default the model store), so it outlives the server. If that
directory is not writable, the line goes to the run directory, which lasts as long as the server. If neither is
writable, the command prints a warning. `fastmar serve` copies new lines to its own log.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastmar_client.errors import ClientError
from fastmar_contract.errors import FastmarError
from fastmar_contract.files import sha256_of
from fastmar_serving.audit import FILE
from fastmar_serving.notices import notice
from fastmar_serving.rollout.errors import LifecycleError, ManagementFailed
from fastmar_serving.rollout.server import Server

DEPLOY, ROLLBACK, UNLOAD = "deploy", "rollback", "unload"
SUCCESS, REFUSED, FAILED = "success", "refused", "failed"
MAX_REASON = 500  # characters


class Entry:
    """One line of the log, filled while the action runs and written once.

    Attributes:
        model: name of the model.
        before: the default version before the action; for an unload the unloaded version.
        after: the requested default version; None for an unload.
        details: further keys, such as the archive, its digest, the waived checks and the counts of the comparison.
    """

    def __init__(self, server: Server, action: str) -> None:
        self.model: str | None = None
        self.before: str | None = None
        self.after: str | None = None
        self.details: dict[str, Any] = {}
        self._server = server
        self._action = action
        self._is_written = False

    def write(self, result: str, error: BaseException | None = None) -> None:
        """Append the line. Only the first call has an effect."""
        if self._is_written:
            return
        self._is_written = True
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "action": self._action,
            "result": result,
            "model": self.model,
            "from": self.before,
            "to": self.after,
            **({"code": _code(error), "reason": _reason(error)} if error is not None else {}),
            **self.details,
            "who": caller(os.environ),
            "server": self._server.url,
        }
        _append(self._server, (json.dumps(line) + "\n").encode())


@contextmanager
def audit_entry(server: Server, action: str) -> Iterator[Entry]:
    """Write a line for the action when the block ends or raises."""
    entry = Entry(server, action)
    try:
        yield entry
    except BaseException as error:  # including KeyboardInterrupt
        is_refusal = isinstance(error, FastmarError) and not isinstance(error, ManagementFailed | ClientError)
        entry.write(REFUSED if is_refusal else FAILED, error)
        raise
    entry.write(SUCCESS)


def caller(environ: Mapping[str, str]) -> dict[str, Any]:
    """The caller of this command: user, host, process, folder, and the sudo user and SSH address if any."""
    user = None
    with suppress(Exception):  # a container's user id may have no name
        user = getpass.getuser()
    if user is None and hasattr(os, "getuid"):
        user = f"uid {os.getuid()}"
    folder = None
    with suppress(OSError):
        folder = str(Path.cwd())
    who = {"user": user, "host": platform.node(), "pid": os.getpid(), "folder": folder}
    if environ.get("SUDO_USER"):
        who["sudo_user"] = environ["SUDO_USER"]
    if environ.get("SSH_CONNECTION"):
        who["ssh_from"] = environ["SSH_CONNECTION"].split()[0]
    return who


def digest(file: Path) -> str | None:
    """SHA-256 of an archive, None if it can't be read."""
    try:
        return sha256_of(file)
    except OSError:
        return None


def _append(server: Server, line: bytes) -> None:
    problem = "its model store is unknown"
    for file in _files(server):
        try:
            _append_to(file, line)
        except OSError as error:
            problem = f"{file}: {error.strerror or error}"
        else:
            return
    notice(f"can't write to the audit log of the server at {server.url}: {problem}. Give --state-dir FOLDER.")


def _files(server: Server) -> list[Path]:
    files = []
    with suppress(LifecycleError):
        files.append(server.state / FILE)
    if server.run_dir is not None:
        files.append(server.run_dir / FILE)
    return files


def _append_to(file: Path, line: bytes) -> None:
    """Append with one system call, so that lines of several processes do not mix, and sync to disk."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(file, flags, 0o640)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("only a part of the line was written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _code(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(getattr(error, "code", None) or type(error).__name__)


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "message", "") or error)
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}..."
