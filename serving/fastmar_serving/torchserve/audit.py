"""The audit log of a server's models: where it is, and how its new lines get into the server's log.

`fastmar deploy`, `rollback` and `models --unload` append one JSON line for each change and each attempt
(`fastmar_serving.rollout.audit`). They run in processes of their own, so the server follows the file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fastmar_serving.torchserve.registry import Running

log = logging.getLogger(__name__)

FILE = "audit.jsonl"
POLL = 0.2  # seconds between two reads of the files
LONGEST_READ = 1 << 20  # bytes of new lines that one read prints


def audit_files(server: Running) -> list[Path]:
    """The audit log in the state folder, then the one that is used while that folder can't be written to."""
    return [Path(folder) / FILE for folder in (server.state_dir or server.model_store, server.run_dir)]


class Follower:
    """Prints the lines that are appended to a file from now on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = self._size()

    def poll(self) -> None:
        """Print what is new. A file that got shorter, or was replaced by a shorter one, is read from its beginning."""
        size = self._size()
        if size < self._position:
            self._position = 0
        if size == self._position:
            return
        try:
            with self._file.open("rb") as file:
                file.seek(self._position)
                new = file.read(LONGEST_READ)
        except OSError:
            return
        whole = new.rfind(b"\n") + 1
        self._position += whole
        for line in new[:whole].decode("utf-8", "replace").splitlines():
            log.warning("audit: %s", "".join(letter if letter.isprintable() else "?" for letter in line))

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except OSError:
            return 0


@contextmanager
def following(files: Sequence[Path]) -> Iterator[None]:
    """Print new lines of the files to the log as long as this lasts."""
    followers = [Follower(file) for file in files]
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(POLL):
            for follower in followers:
                follower.poll()

    thread = threading.Thread(target=follow, name="fastmar-audit", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for follower in followers:
            follower.poll()
