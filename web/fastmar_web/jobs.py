"""Tables that are scored in the background: files on disk, a state in memory, gone after an hour.

A job's name can't be guessed, and is all that leads to its files.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fastmar_client import ClientError
from fastmar_web.backend import explained
from fastmar_web.errors import PageError, Refused, Unavailable
from fastmar_web.tables import Preview

KEPT = 3600.0  # seconds after the last look
MOST = 20  # jobs at a time
AT_WORK = 2  # threads

CHECKING, CHECKED, WAITING, SCORING, DONE, FAILED = "checking", "checked", "waiting", "scoring", "done", "failed"

Look = Callable[[Path, Callable[[int], None]], Preview]
Score = Callable[[Path, Path, Callable[[int], None]], Any]


class _Stopped(Exception):
    """The job was removed while it was at work."""


@dataclass
class Job:
    """One table.

    Attributes:
        id: the name that can't be guessed.
        model: the model's name in addresses, with its version where one was chosen.
        filename: as the visitor's machine calls it.
        folder: its files.
        state: one of the names above.
        preview: what is in the file, once that is known.
        done: rows read or scored so far.
        error: why it failed.
    """

    id: str
    model: str
    filename: str
    folder: Path
    state: str = CHECKING
    preview: Preview | None = None
    done: int = 0
    error: PageError | None = None
    used: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    settled: threading.Event = field(default_factory=threading.Event)

    @property
    def source(self) -> Path:
        """The table."""
        return self.folder / "table.csv"

    @property
    def answers(self) -> Path:
        """The table with the answers."""
        return self.folder / "answers.csv"

    @property
    def at_work(self) -> bool:
        """Whether something will change by itself."""
        return self.state in (CHECKING, WAITING, SCORING)

    def progress(self, done: int) -> None:
        """Say how far it is; ends the work where nobody wants it any more."""
        if self.stop.is_set():
            raise _Stopped
        self.done = done


class Jobs:
    """All tables of this process. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._own = folder is None
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_WORK, thread_name_prefix="fastmar-web-table")

    def add(self, model: str, filename: str, content: IO[bytes], look: Look) -> Job:
        """Take a table in, and begin to look at it.

        Raises:
            Unavailable: there are too many at a time.
        """
        self._tidy()
        with self._lock:
            if len(self._jobs) >= MOST:
                raise Unavailable(
                    "Too many tables are being scored.", fix="wait until some are done, then send it again."
                )
            job = Job(secrets.token_urlsafe(24), model, filename, Path(tempfile.mkdtemp(dir=self._place())))
            self._jobs[job.id] = job
        with job.source.open("wb") as file:
            shutil.copyfileobj(content, file, 1024 * 1024)

        def work() -> None:
            job.preview = look(job.source, job.progress)
            job.state = CHECKED

        self._pool.submit(self._guarded, job, work)
        return job

    def score(self, job: Job, score: Score) -> None:
        """Begin to score a table that was looked at; does nothing where it was begun."""
        with self._lock:
            if job.state not in (CHECKED, FAILED) or job.preview is None:
                return
            job.state, job.error, job.done = WAITING, None, 0
            job.settled.clear()

        def work() -> None:
            job.state = SCORING
            score(job.source, job.answers, job.progress)
            job.done = job.preview.total if job.preview else job.done
            job.state = DONE

        self._pool.submit(self._guarded, job, work)

    def get(self, name: str) -> Job:
        """The job of that name.

        Raises:
            Refused: there is none, or none any more.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise Refused(
                "This table is not here any more.",
                fix="send it again; tables are removed an hour after they were last looked at.",
                status=404,
                title="Gone",
            )
        job.used = time.monotonic()
        return job

    def remove(self, job: Job) -> None:
        """Forget the job and delete its files."""
        job.stop.set()
        with self._lock:
            self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """End all work and delete all files."""
        for job in list(self._jobs.values()):
            self.remove(job)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._own and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self) -> Path:
        """The folder, which only this user reads; made when it is needed."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fastmar-web-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _guarded(self, job: Job, work: Callable[[], None]) -> None:
        try:
            work()
        except _Stopped:
            shutil.rmtree(job.folder, ignore_errors=True)
        except PageError as error:
            job.error, job.state = error, FAILED
        except ClientError as error:
            error.message = error.message.replace(str(job.source), "the file")  # our path says nothing to a reader
            job.error, job.state = explained(error), FAILED
        except Exception as error:  # a thread must not die silently
            print(f"fastmar web: a table failed: {error!r}", file=sys.stderr, flush=True)
            problem = PageError("The web app failed on this table.", fix="see the log of `fastmar web`.")
            job.error, job.state = problem, FAILED
        finally:
            job.settled.set()

    def _tidy(self) -> None:
        """Remove jobs that nobody has looked at for an hour."""
        with self._lock:
            old = [job for job in self._jobs.values() if time.monotonic() - job.used > KEPT and not job.at_work]
        for job in old:
            self.remove(job)
