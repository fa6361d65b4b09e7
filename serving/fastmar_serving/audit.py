"""Copy new lines of the audit log to the server's log.

`fastmar deploy`, `rollback` and `models --unload` append one JSON line for each change and each attempt
(`fastmar_serving.rollout.audit`). They are separate processes, so the server follows the file.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastmar_serving.registry import ServerEntry

log = logging.getLogger(__name__)

FILE = "audit.jsonl"
POLL = 0.2  # seconds between two reads of the files
MAX_READ = 1 << 20  # bytes of new lines in one read


def audit_files(server: ServerEntry) -> list[Path]:
    """The audit log in the state directory, then the one in the run directory, used if the first is not writable."""
    return [Path(folder) / FILE for folder in (server.state_dir or server.model_store, server.run_dir)]


class Follower:
    """Logs the lines that are appended to a file from now on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = self._size()

    def poll(self) -> None:
        """Log new lines. A file that got shorter, or was replaced by a shorter one, is read from its beginning."""
        size = self._size()
        if size < self._position:
            self._position = 0
        if size == self._position:
            return
        try:
            with self._file.open("rb") as file:
                file.seek(self._position)
                new = file.read(MAX_READ)
        except OSError:
            return
        complete = new.rfind(b"\n") + 1
        self._position += complete
        for line in new[:complete].decode("utf-8", "replace").splitlines():
            _log_entry("".join(letter if letter.isprintable() else "?" for letter in line))

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except OSError:
            return 0


def _log_entry(line: str) -> None:
    """Log a line of the file. As JSON, the log line has the entry's fields in `audit`."""
    from fastmar_runtime.logs import FIELDS  # noqa: PLC0415 - rollouts import this module without the runtime

    fields: dict[str, Any] = {}
    with suppress(ValueError, TypeError, KeyError):
        entry = json.loads(line)
        message = f"audit: {entry['action']} {entry['model']}: {entry['result']}"
        fields = {"message": message, "audit": entry}
    log.info("audit: %s", line, extra={FIELDS: fields})


@contextmanager
def follow(files: Sequence[Path]) -> Iterator[None]:
    """Log new lines of the files while the block runs."""
    followers = [Follower(file) for file in files]
    ended = threading.Event()

    def poll_files() -> None:
        while not ended.wait(POLL):
            for follower in followers:
                follower.poll()

    thread = threading.Thread(target=poll_files, name="fastmar-audit", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for follower in followers:
            follower.poll()
