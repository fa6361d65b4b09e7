"""One table that is checked and scored in the background: its state, its counts and its files."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastmar_client import Scored
from fastmar_web.errors import PageError
from fastmar_web.tables.preview import Preview
from fastmar_web.tables.progress import Pace

LIFETIME = 3600.0  # seconds after the last request for a job, or after its work

CHECKING, CHECKED, WAITING, SCORING, DONE, FAILED = "checking", "checked", "waiting", "scoring", "done", "failed"

JSON = dict[str, Any]


class JobRemoved(Exception):
    """The job was removed while it was active."""


@dataclass
class Job:
    """One table.

    Attributes:
        id: a random id that can't be guessed.
        model: reference of the model: its name, and its version if one was chosen.
        filename: the name of the file on the visitor's machine.
        folder: folder of its files.
        schema: of the model, when the table was uploaded.
        state: one of the constants above.
        preview: the result of the check, once it is done.
        done: rows read or scored so far.
        pace: the rate of the rows that are being scored.
        scored: counts of rows, errors and warnings, once it is scored.
        error: why it failed.
        visitor: id of its owner; only later tables of the same visitor may replace it.
        address: client address of the upload.
        size: bytes of the table.
        last_used: time of the last request, or of the end of the work; seconds of the monotonic clock.
        cancelled: set when it is removed.
        finished: set when no work is left to do.
    """

    id: str
    model: str
    filename: str
    folder: Path
    schema: JSON = field(default_factory=dict)
    state: str = CHECKING
    preview: Preview | None = None
    done: int = 0
    pace: Pace = field(default_factory=Pace)
    scored: Scored | None = None
    error: PageError | None = None
    visitor: str = ""
    address: str = ""
    size: int = 0
    last_used: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def source(self) -> Path:
        """Path of the table."""
        return self.folder / "table.csv"

    @property
    def answers(self) -> Path:
        """Path of the table with the answers."""
        return self.folder / "answers.csv"

    @property
    def results(self) -> Path:
        """Path of the answers as an SQLite file, for the page. Missing if the page can't show them."""
        return self.folder / "results.sqlite"

    @property
    def is_active(self) -> bool:
        """Whether it is being read or scored, or waits in the queue."""
        return self.state in (CHECKING, WAITING, SCORING)

    @property
    def stored_bytes(self) -> int:
        """Bytes of its files; while the table is being saved, at least its size."""
        sizes = []
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):  # renamed when it is complete
                sizes.append(path.stat().st_size)
        return max(self.size, sum(sizes))

    @property
    def remaining(self) -> float:
        """Seconds until it is deleted, unless it is used again."""
        return LIFETIME if self.is_active else self.last_used + LIFETIME - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether its lifetime is over."""
        return self.remaining < 0

    def progress(self, done: int) -> None:
        """Record how many rows are done.

        Raises:
            JobRemoved: the job was removed, so the work must end.
        """
        if self.cancelled.is_set():
            raise JobRemoved
        self.done = done
        self.pace.report(done)
